#!/usr/bin/env bash
# Builds the image and pushes it: ./build-image.sh IMAGE. Needs docker; gcloud too where the image goes to Artifact Registry.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
IMAGE=${1:?Usage: ./build-image.sh IMAGE}
WEIGHTS_URI=@baked_uri:sh@

if [ -n "$WEIGHTS_URI" ]; then
  mkdir -p bundle
  gcloud storage cp --recursive "$WEIGHTS_URI" bundle/
fi
case "$IMAGE" in
  *-docker.pkg.dev/*/*/*)
    IFS=/ read -r host project repository rest <<<"$IMAGE"
    case $project in
      *.*) project=$project:$repository repository=${rest%%/*} ;; # a project of a domain: example.com:project
    esac
    location=${host%-docker.pkg.dev}
    if ! gcloud artifacts repositories describe "$repository" --project="$project" --location="$location" >/dev/null 2>&1; then
      gcloud artifacts repositories create "$repository" --project="$project" --location="$location" --repository-format=docker
    fi
    gcloud auth configure-docker "$host" --quiet
    ;;
esac
docker build --platform=linux/amd64 --tag "$IMAGE" .
docker push "$IMAGE"
