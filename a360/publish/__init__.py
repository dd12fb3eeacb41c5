"""Results -> tables, figures, one HTML page and W&B runs: derived views, rebuilt whole by pure functions.

Heavy packages are imported by the module that needs them: ``html`` jinja2, ``figures`` matplotlib,
``wandb_child`` wandb.
"""
