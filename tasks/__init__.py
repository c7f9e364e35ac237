"""Lightning modules and callbacks: how nets are trained and watched."""
