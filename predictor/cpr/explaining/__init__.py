"""Which input added how much to a prediction: the services' configs for that, and the same answered here.

``rules`` and ``schema`` hold what the services take, from data; ``features`` describes the inputs of a signature, with
baselines from data; ``documents`` makes AI Platform's ``explanation_metadata.json`` and Vertex AI's ``explanationSpec`` of
them, and ``deploying`` puts the latter into a container's config.

``asked`` reads what a request wants explained, ``attributing`` answers it: by ``gradients`` (integrated gradients, through
``_tensorflow``) or by ``shapley`` (sampled Shapley, for any model), and ``answers`` writes it as the services do.
"""
