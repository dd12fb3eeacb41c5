"""What runs on a cluster, written with Hera: two workflow templates, their helpers, and the schedules.

``a360-sweep`` plans and creates one child per checkpoint from the versioned ``a360-checkpoint-…``; results
travel through the store only, so nothing here reads Argo's status. Every document is a pure function of
``Settings``; ``python -m workflows render`` writes them to helm/a360/files and workflows/submit.
"""
