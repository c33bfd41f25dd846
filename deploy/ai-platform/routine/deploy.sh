#!/usr/bin/env bash
# Makes a version of an AI Platform model from a published bundle. Needs gcloud.
#
#   PROJECT=my-project ./deploy.sh              makes the model where there is none, and the version
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

# MLS1 machines are reached through the global endpoint only: --regions says where a model runs, --region which endpoint is asked.
if ! gcloud ai-platform models describe "$MODEL" --project="$PROJECT" --region=global >/dev/null 2>&1; then
  gcloud ai-platform models create "$MODEL" --project="$PROJECT" --regions="$REGION"
fi
gcloud ai-platform versions create "$VERSION" --project="$PROJECT" --region=global --model="$MODEL" --config="$here/version.yaml"
if [ "${SET_DEFAULT:-}" = 1 ]; then
  gcloud ai-platform versions set-default "$VERSION" --project="$PROJECT" --region=global --model="$MODEL"
fi
echo "Made version $VERSION of model $MODEL. Look at it with:"
echo "  gcloud ai-platform versions describe $VERSION --project=$PROJECT --region=global --model=$MODEL"
