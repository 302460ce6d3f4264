#!/bin/sh
# Waits for Temporal, then creates the namespace and its search attributes if they are missing. Safe to run again.
# The temporal command reads TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE.
set -eu

attempts_left=60
retry() {
  until "$@"; do
    attempts_left=$((attempts_left - 1))
    if [ "$attempts_left" -le 0 ]; then
      echo "gave up: $*" >&2
      exit 1
    fi
    sleep 2
  done
}

ensure_namespace() {
  temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$TEMPORAL_RETENTION"
}

# What was just made is unknown to the server's caches for some seconds: hence the retries, and the last step.
ensure_search_attribute() {
  temporal operator search-attribute create --name "$1" --type "$2"
}

retry temporal operator cluster health
retry ensure_namespace
retry ensure_search_attribute CutoverRoute Keyword
retry ensure_search_attribute CutoverStage Keyword
retry ensure_search_attribute CutoverShare Double
retry ensure_search_attribute CutoverPaused Bool
retry temporal workflow count --query 'CutoverRoute = "" AND CutoverStage = "" AND CutoverShare = 0 AND CutoverPaused = true'
