"""a360 on a Kubernetes cluster: submit sweeps, look at them, stop them, and check that they can run.

The one room that imports the kubernetes client. Commands call functions of it; nothing here evaluates, and
nothing here is asked which results exist: that is the store's to say.
"""
