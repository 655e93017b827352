"""From parameters to the network, the views, the loss and the net that trains them."""
