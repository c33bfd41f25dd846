"""Error texts as people paste them. ``KNOWN`` by failure, with names and wrappers that the catalogue does not have."""

from __future__ import annotations

BAD = 'ERROR: (gcloud.beta.ai-platform.versions.create) Create Version failed. Bad model detected with error: "{}"'

KNOWN: dict[str, tuple[str, ...]] = {
    "S1": (
        BAD.format(
            "There was a problem processing the user code: churn.serving.Churn cannot be found. Please make sure (1) "
            "prediction_class is the fully qualified function name, and (2) it uses the correct package name as provided by "
            "the package_uris: ['gs://acme/churn-0.3.tar.gz'] (Error code: 4)"
        ),
    ),
    "S2": (
        BAD.format(
            "There was a problem processing the user code: User provided model class churn.M must implement the "
            "from_path method. (Error code: 4)"
        ),
    ),
    "S3": (
        BAD.format(
            "There was a problem processing the user code: The provided model class, churn.M, is missing the required "
            "predict method. (Error code: 4)"
        ),
    ),
    "S4": (
        BAD.format(
            "There was a problem processing the user code: The provided model class, churn.M, has a predict method with an "
            "invalid signature. Expected signature: ['self', 'instances'] User signature: ['self', 'instances', 'top'] "
            "(Error code: 4)"
        ),
    ),
    "S5": (
        "TypeError: predict() got an unexpected keyword argument 'stats'",
        'Traceback (most recent call last):\n  File "server.py", line 9\nTypeError: Churn.predict() got an unexpected keyword '
        "argument 'stats'",
        '{\n  "error": "Prediction failed: unknown error."\n}',
    ),
    "S6": (
        BAD.format(
            "User-provided package fbprophet-0.5.tar.gz failed to install: Command '['python-default', '-m', 'pip', "
            "'install', '--target=/tmp/custom_lib', '--no-cache-dir', '-b', '/tmp/custom_builds', "
            "'/tmp/custom_code/fbprophet-0.5.tar.gz']' returned non-zero exit status 1"
        ),
        "User-provided package torch_model-1.0 failed to install",
    ),
    "S7": (
        BAD.format("Failed to load model: Unexpected error when loading the model: 0 (Error code: 0)"),
        BAD.format("Failed to load model: Unexpected error when loading the model: 9 (Error code: 0)"),
    ),
    "S8": (
        BAD.format(
            "Failed to load model: Unexpected error when loading the model: Support for generic buffers has not been "
            "implemented. (Error code: 0)"
        ),
    ),
    "S9": (
        "ERROR: (gcloud.beta.ai-platform.versions.create) FAILED_PRECONDITION: Field: prediction_class Error: Exactly one of "
        "“prediction_class” and “framework” may be provided.\n- '@type': type.googleapis.com/google.rpc.BadRequest",
        '{"error": {"code": 400, "message": "Field: prediction_class Error: Exactly one of \\"prediction_class\\" and '
        '\\"framework\\" may be provided.", "status": "FAILED_PRECONDITION"}}',
    ),
    "S10": (
        'Create Version failed. Bad model detected with error: "Model requires more memory than allowed. Please try to '
        'decrease the model size and re-deploy. If you continue to have error, please contact Cloud ML."',
        "Create Version failed. Bad model detected with error: &quot;Model requires more memory than allowed. Please try to "
        "decrease the model size and re-deploy.&quot;",
    ),
    "S11": (
        BAD.format(
            "Failed to load model: Could not load the model: /tmp/model/0001/model.pkl. unsupported pickle protocol: 3. Please "
            "make sure the model was exported using python 2. Otherwise, please specify the correct 'python_version' "
            "parameter when deploying the model. (Error code: 0)"
        ),
        "ValueError: unsupported pickle protocol: 5",
    ),
    "S12": (
        BAD.format(r"Failed to load model: Could not load the model: /tmp/model/0001/model.pkl. '\x03'. (Error code: 0)"),
        BAD.format("Failed to load model: Could not load the model: /tmp/model/0001/model.joblib. '\x0a\x04'. (Error code: 0)"),
    ),
    "S13": (
        BAD.format(
            "Failed to load model: Could not load the model: /tmp/model/0001/model.pkl. No module named "
            "'sklearn.ensemble._forest'. (Error code: 0)"
        ),
        "ModuleNotFoundError: No module named 'sklearn.linear_model._logistic'",
    ),
    "S14": (
        "pkg_resources.DistributionNotFound: The 'google-cloud-pubsub' distribution was not found and is required by the "
        "application",
    ),
    "S15": (
        "ERROR: (gcloud) Invalid choice: 'ai-platform'. Did you mean 'app'?",
        "ERROR: (gcloud.ml-engine.versions.create) unrecognized arguments: --framework=scikit-learn",
        "ERROR: (gcloud.ai-platform.versions.create) unrecognized arguments:\n  --prediction-class=predictor.Churn (did you "
        "mean '--description'?)",
    ),
    "S16": (
        "ERROR: (gcloud.ai-platform.jobs.submit.prediction) argument --data-format: Invalid choice: 'json'.\n\nValid choices "
        "are [text, tf-record, tf-record-gzip].",
    ),
    "S17": ("My custom prediction routine fails on runtime 1.15 with Python 3.7",),
    "S18": (
        "INVALID_ARGUMENT: custom prediction routines are not supported in runtime version 2.1".replace("routines", "routine"),
        "runtime version 2.1 does not support a custom prediction routine",
    ),
    "S19": (
        "E tensorflow/stream_executor/cuda/cuda_dnn.cc:319] Loaded runtime CuDNN library: 7.4.2 but source was compiled with: "
        "7.6.0.  CuDNN library major and minor version needs to match",
    ),
    "S20": (
        "ERROR: (gcloud.beta.ai-platform.versions.create) INTERNAL: Internal error.",
        "Create Version failed. Internal error.",
    ),
    "S21": (
        "ERROR: (gcloud.beta.ai-platform.versions.create) INVALID_ARGUMENT: The specified machine type 'n1-highmem-8' is only "
        "available on the regional endpoint.",
        "INVALID_ARGUMENT: Field: version.machine_type Error: Unsupported machine type 'mls-c4-m2'.",
    ),
    "S22": (
        BAD.format("Failed to load model: Multiple model files are found in the model_path: /tmp/model/0001 (Error code: 0)"),
    ),
    "S23": (
        BAD.format(
            "Failed to load model: Cloud ML only supports TF 1.0 or above and models saved in SavedModel format. (Error "
            "code: 0)"
        ),
    ),
    "S24": (
        BAD.format(
            "Failed to load model: Failed to load the model due to bad model data. tags: ['serve']\nOp type not "
            "registered 'DisableCopyOnRead' in binary (Error code: 0)"
        ),
    ),
    "S25": (BAD.format("Failed to load model: MetaGraph must have at least one signature_def. (Error code: 0)"),),
    "S26": ('{"error": "Prediction failed: No signature found for signature key serve_rows."}',),
    "S27": ("Prediction failed: Expected tensor name: images, got tensor name: ['image'].",),
    "S28": ("Prediction failed: Unexpected tensor name: customer_id (Error code: 1)",),
    "S29": ("Invalid inputs: Input age was missing in at least one input instance. (Error code: 1)",),
    "S30": (
        "There was a problem processing the outputs: Bad output from running tensorflow session: outputs had differing sizes "
        "in the batch (outer) dimension. See the outputs and their size: {'p': 1}. Check your model for bugs that effect the "
        "size of the outputs. (Error code: 3)",
    ),
    "S31": (
        "Expected prediction signature method_name to be one of {tensorflow/serving/predict, tensorflow/serving/classify, "
        "tensorflow/serving/regress}. Was: ",
    ),
    "S32": (
        BAD.format(
            "Failed to load model: Invalid model type detected: churn.pipeline.Churn. Please make sure the model file is "
            "an exported sklearn model or pipeline. (Error code: 0)"
        ),
        BAD.format(
            "Invalid model type detected: churn.pipeline.Churn. Please make sure the model file is an exported sklearn "
            "model, xgboost model or pipeline. (Error code: 0)"
        ),
    ),
    "S33": (
        "There was a problem processing the outputs: Bad output type returned. The predict function should return either a "
        "numpy ndarray or a list. (Error code: 3)",
    ),
    "S34": (
        BAD.format("Failed to load model: Could not find either model.joblib or model.pkl in /tmp/model/0001 (Error code: 0)"),
    ),
    "S35": (
        "ERROR: (gcloud.ai-platform.versions.create) Invalid fields [acceleratorConfig, container] in configuration file "
        "[my_config.yaml]. Allowed fields: [autoScaling, deploymentUri].",
        "ERROR: (gcloud.ai-platform.versions.create) Invalid field [name] in configuration file [v.yaml]. Allowed fields: [x].",
    ),
    "S36": (
        "ERROR: (gcloud.ai-platform.versions.create) Invalid value for [--origin]: Either `--origin` must be provided or "
        "`deploymentUri` must be provided in the file given by `--config`.",
    ),
    "S37": (
        "ERROR: (gcloud.ai-platform.versions.create) If --origin is provided as a local path, --staging-bucket must be given "
        "as well.",
    ),
    "S38": (
        "ERROR: (gcloud.ai-platform.versions.create) Cannot upload contents of directory [export/7] to Google Cloud Storage; "
        "directory has no files.",
    ),
    "S39": (
        "--image was not provided, but other container related flags were specified. Please specify --image or remove the "
        "following flags: --ports",
    ),
    "S40": (
        'ERROR: (gcloud.ai-platform.predict) Invalid JSON request: missing "instances" attribute',
        'ERROR: (gcloud.ai-platform.predict) Invalid JSON request: "instances" must be a list',
        "ERROR: (gcloud.ai-platform.predict) Empty line is not allowed in the instances file.",
    ),
    "S41": (
        "ERROR: (gcloud.ai-platform.predict) The gcloud CLI can currently process no more than 100 instances per file. Please "
        "use the API directly if you need to send more.",
    ),
    "S42": ("ERROR: torch-1.4.0+cpu-cp38-cp38-linux_x86_64.whl is not a supported wheel on this platform.",),
    "S43": (
        BAD.format(
            "There was a problem processing the user code: problem in predictor - ModuleNotFoundError: No module named "
            "'preprocessing' (Error code: 4)"
        ),
    ),
    "S44": (
        "ERROR: tensorflow-transform 0.15 has requirement google-cloud-storage<2,>=1.16, but you'll have google-cloud-storage "
        "2.1.0 which is incompatible.",
        "pkg_resources.ContextualVersionConflict: (google-cloud-core 0.28.1 (/opt/lib), "
        "Requirement.parse('google-cloud-core<2.0dev,>=1.0.3'), {'google-cloud-storage'})",
    ),
    "S45": (
        "ERROR: (gcloud.ai-platform.models.create) User [me@example.com] does not have permission to access projects instance "
        "[acme-prod] (or it may not exist): Access to model denied.",
    ),
    "S46": (
        "ERROR: (gcloud.ai-platform.jobs.submit.prediction) FAILED_PRECONDITION: version v3 has the machine type n1-standard-4",
        "Batch prediction is not supported for a custom prediction routine",
    ),
    "S47": (
        "ERROR: (gcloud.ai-platform.versions.create) ALREADY_EXISTS: Field: version.name Error: A version with the same name "
        "already exists.",
        '<HttpError 409 when requesting https://ml.googleapis.com/v1/projects/acme/models?alt=json returned "Field: model.name '
        'Error: A model with the same name already exists.">',
    ),
    "S48": (
        "ERROR: (gcloud.ai-platform.versions.delete) FAILED_PRECONDITION: Cannot delete the default version 'v2' of a model "
        "with other versions",
    ),
    "S49": (
        "ERROR: (gcloud.ai-platform.models.create) INVALID_ARGUMENT: Field: model.name Error: The name my-model is not valid",
        "INVALID_ARGUMENT: Field: version.name Error: names have letters",
    ),
    "S50": (
        "WARNING: Using [us-central1] by default on https://us-central1-ml.googleapis.com. Please note that your model will be "
        "inaccessible from https://ml.googelapis.com",
        "WARNING: Please note that your model will be inaccessible from https://us-central1-ml.googelapis.com",
    ),
    "S51": (
        "google.api_core.exceptions.InvalidArgument: 400 Prediction failed: Exception during sklearn prediction: float() "
        "argument must be a string or a real number, not 'dict'",
        '{"error": "Prediction failed: Exception during sklearn prediction: float() argument must be a string or a number, not '
        "'dict'\"}",
    ),
    "S52": ("400 Prediction failed: predict() got an unexpected keyword argument 'parameters'",),
    "S53": ("[E] ModuleNotFoundError: No module named 'sklearn.svm._classes'",),
    "S54": ("request logging never starts: nothing arrives in BigQuery", "Setting requestLoggingConfig has no effect"),
}

UNKNOWN: tuple[str, ...] = (
    "error",
    "Internal error.",
    "unknown error",
    "it does not work",
    "INTERNAL: Internal error encountered.",
    'Error from server (NotFound): pods "churn-7d" not found',
    'Error from server (InternalError): Internal error occurred: failed calling webhook "validate.nginx.ingress.kubernetes.io"',
    "Back-off restarting failed container",
    'Failed to pull image "gcr.io/acme/churn:1": rpc error: code = Unknown desc = manifest unknown',
    "0/3 nodes are available: 3 Insufficient memory.",
    "OOMKilled",
    "The connection to the server localhost:8080 was refused - did you specify the right host or port?",
    "ERROR: Could not find a version that satisfies the requirement torch==9.9 (from versions: 1.0.0)",
    "ERROR: No matching distribution found for torch==9.9",
    "ERROR: Command errored out with exit status 1: python setup.py egg_info Check the logs for full command output.",
    "ERROR: pip's dependency resolver does not currently take into account all the packages that are installed.",
    "error: subprocess-exited-with-error",
    "ModuleNotFoundError: No module named 'sklearn'",
    "ModuleNotFoundError: No module named 'sklearn_extra.cluster'",
    "ModuleNotFoundError: No module named 'requests'",
    "ImportError: cannot import name 'soft_unicode' from 'markupsafe'",
    "AttributeError: 'NoneType' object has no attribute 'predict'",
    "TypeError: predict() got an unexpected keyword argument 'verbose'",
    "TypeError: fit() got an unexpected keyword argument 'stats'",
    "TypeError: float() argument must be a string or a number, not 'dict'",
    "ValueError: could not convert string to float: 'abc'",
    "MemoryError: Unable to allocate 2.0 GiB for an array",
    "FileNotFoundError: [Errno 2] No such file or directory: 'model.pkl'",
    "The file cannot be found. Please make sure that the path is right.",
    "RecursionError: maximum recursion depth exceeded",
    "KeyError: 0",
    "HTTP/1.1 404 Not Found",
    "HTTP 409 Conflict",
    '<HttpError 409 when requesting https://storage.googleapis.com/b/acme returned "Conflict">',
    "429 Too Many Requests",
    "502 Bad Gateway nginx/1.18.0",
    "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='example.com', port=443): Max retries exceeded",
    '{"error": {"code": 403, "message": "Permission denied", "status": "PERMISSION_DENIED"}}',
    "ERROR: (gcloud.compute.instances.create) INVALID_ARGUMENT: Internal error",
    "ERROR: (gcloud.run.deploy) unrecognized arguments: --image-url",
    "argument --format: Invalid choice: 'xml'",
    "Segmentation fault (core dumped)",
    'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\nZeroDivisionError: division by zero',
    "Failed to load model",
    "model failed to load: unexpected end of file",
    "Input was missing",
    "Resource exhausted: OOM when allocating tensor with shape[64,512]",
    "tensorflow.python.framework.errors_impl.InvalidArgumentError: Incompatible shapes: [2] vs. [3]",
    "denied: requested access to the resource is denied",
    "git: 'ai' is not a git command. See 'git --help'.",
)
