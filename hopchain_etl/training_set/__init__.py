"""Reads, checks, exports and grades a released training set; needs only the core install."""
