#!/usr/bin/env bash
# Builds the image, pushes it, uploads the model with it, and deploys it to an endpoint of Vertex AI. Needs docker and gcloud.
#
#   PROJECT=my-project ./deploy.sh              makes what is not there yet, and sends all traffic to this version
#   PROJECT=my-project SKIP_BUILD=1 ./deploy.sh     with the image as it is in the registry
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

project=@project:sh@
PROJECT=${PROJECT:-$project}
: "${PROJECT:?Set PROJECT to the Google Cloud project to deploy to.}"
REGION=@region:sh@
MODEL=@model_name:sh@
ENDPOINT=@model_name:sh@
VERSION=@version_name:sh@
ARTIFACT_URI=@artifact_uri:sh@
LABELS=@label_list:sh@
EXPLANATION_PATHS=@explanation_paths:sh@
image=@given_image:sh@
# A project of a domain, example.com:project, is two parts of an image's name.
IMAGE=${image:-$REGION-docker.pkg.dev/${PROJECT/://}/cpr/@image_name:sh@}

if [ "${SKIP_BUILD:-}" != 1 ]; then
  "$here/build-image.sh" "$IMAGE"
fi

# A model that is there already gets a new version.
if gcloud ai models describe "$MODEL" --project="$PROJECT" --region="$REGION" >/dev/null 2>&1; then
  place=--parent-model="projects/$PROJECT/locations/$REGION/models/$MODEL"
else
  place=--model-id="$MODEL"
fi
gcloud ai models upload "$place" --project="$PROJECT" --region="$REGION" \
  --display-name=@name:sh@ --description=@description:sh@ \
  --version-aliases="$VERSION" --version-description=@version_description:sh@ \
  --container-image-uri="$IMAGE" --container-ports=8080 \
  --container-predict-route=@predict_route:sh@ --container-health-route=@health_route:sh@ \
  ${EXPLANATION_PATHS:+--explanation-method=sampled-shapley --explanation-path-count="$EXPLANATION_PATHS" \
    --explanation-metadata-file="$here/explanation-metadata.json"} \
  ${ARTIFACT_URI:+--artifact-uri="$ARTIFACT_URI"} ${LABELS:+--labels="$LABELS"}

if ! gcloud ai endpoints describe "$ENDPOINT" --project="$PROJECT" --region="$REGION" >/dev/null 2>&1; then
  gcloud ai endpoints create --endpoint-id="$ENDPOINT" --project="$PROJECT" --region="$REGION" \
    --display-name=@name:sh@ ${LABELS:+--labels="$LABELS"}
fi
# "0" stands for the model that is being deployed.
gcloud ai endpoints deploy-model "$ENDPOINT" --project="$PROJECT" --region="$REGION" \
  --model="$MODEL@$VERSION" --display-name=@deployed_name:sh@ \
  --machine-type=@machine_type:sh@ --min-replica-count=1 --max-replica-count=1 --traffic-split=0=100

echo "Deployed version $VERSION of model $MODEL. Ask it with:"
echo "  gcloud ai endpoints predict $ENDPOINT --project=$PROJECT --region=$REGION --json-request=request.json"
