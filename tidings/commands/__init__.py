"""The commands of `tidings`, one file each; they read arguments, call and print, and decide nothing."""
