"""Discovery: from a checkpoint root to checkpoints that are proven complete, and a reason for each other.

First stage of the flow. ``naming`` reads names, ``folders`` lists and fingerprints, ``readiness`` proves
with ``safetensors_header``, ``torch_zip`` and ``vocabulary``, ``digest`` identifies, ``inventory``
remembers, ``discover`` puts them together.
"""
