#!/bin/sh
# Makes the namespace, once. TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE say where; closed runs are kept for TEMPORAL_RETENTION.
set -eu

tries=60
until temporal operator cluster health; do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || exit 1
  sleep 1
done
if temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE"; then exit 0; fi
temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$TEMPORAL_RETENTION"
