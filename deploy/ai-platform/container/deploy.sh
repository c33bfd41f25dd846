#!/usr/bin/env bash
# Builds the image, pushes it, and makes a version of an AI Platform model that runs it. Needs docker and gcloud with its beta part.
#
#   PROJECT=my-project ./deploy.sh              makes the model where there is none, and the version
#   PROJECT=my-project SKIP_BUILD=1 ./deploy.sh     with the image as it is in the registry
#   PROJECT=my-project SET_DEFAULT=1 ./deploy.sh    makes it the model's default version, too
#
# AI Platform Prediction is retired: see README.md.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

project=@project:sh@
PROJECT=${PROJECT:-$project}
: "${PROJECT:?Set PROJECT to the Google Cloud project to deploy to.}"
REGION=@region:sh@
MODEL=@model_name:sh@
VERSION=@version_name:sh@
image=@given_image:sh@
# A project of a domain, example.com:project, is two parts of an image's name.
IMAGE=${image:-$REGION-docker.pkg.dev/${PROJECT/://}/cpr/@image_name:sh@}

if [ "${SKIP_BUILD:-}" != 1 ]; then
  "$here/build-image.sh" "$IMAGE"
fi

# The project may have been named only now, and it is part of the image's name. A description may hold such a line, too.
config=$(mktemp)
trap 'rm -f "$config"' EXIT
sed "/^container:/,/^routes:/s|^  image: .*|  image: $IMAGE|" "$here/version.yaml" >"$config"

# N1 machines are reached through a regional endpoint only, and only gcloud beta takes a container from a config file.
if ! gcloud beta ai-platform models describe "$MODEL" --project="$PROJECT" --region="$REGION" >/dev/null 2>&1; then
  gcloud beta ai-platform models create "$MODEL" --project="$PROJECT" --region="$REGION"
fi
gcloud beta ai-platform versions create "$VERSION" --project="$PROJECT" --region="$REGION" --model="$MODEL" --config="$config"
if [ "${SET_DEFAULT:-}" = 1 ]; then
  gcloud beta ai-platform versions set-default "$VERSION" --project="$PROJECT" --region="$REGION" --model="$MODEL"
fi
echo "Made version $VERSION of model $MODEL. Look at it with:"
echo "  gcloud ai-platform versions describe $VERSION --project=$PROJECT --region=$REGION --model=$MODEL"
