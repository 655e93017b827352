"""What all wings use: private names of scikit-learn, devices, random numbers, threads, files, classes, missing."""
