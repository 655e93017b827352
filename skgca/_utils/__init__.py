"""What all rooms use: private names of scikit-learn, devices, random numbers, threads, files."""
