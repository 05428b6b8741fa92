"""What a training run says about itself: logs of verl, TRL, ms-swift and EasyR1 as one table, and alarms over it."""
