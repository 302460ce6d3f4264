#!/bin/sh
# usage: tools/pin-images.sh FILE...
# Pins the images that Dockerfiles, Compose files and manifests name to the digest that their registry gives for the
# tag now: name:tag becomes name:tag@sha256:... Images that are pinned already, and our own, stay as they are.
# Needs docker with buildx, or crane; look at the difference before you commit it. Nothing is changed if one fails.
set -eu
[ $# -gt 0 ] || { echo 'usage: tools/pin-images.sh FILE...' >&2; exit 2; }

digest_of() {
  if command -v crane >/dev/null; then crane digest "$1"
  else docker buildx imagetools inspect "$1" --format '{{.Manifest.Digest}}'
  fi
}

pins=$(mktemp)
trap 'rm -f "$pins"' EXIT
images=$(sed -nE \
  -e 's/^[[:space:]]*(-[[:space:]]+)?image:[[:space:]]*["'\'']?([^"'\''[:space:]#]+).*/\2/p' \
  -e 's/^FROM[[:space:]]+(--[^[:space:]]+[[:space:]]+)*([^[:space:]]+).*/\2/p' "$@" | sort -u)
for image in $images; do
  case $image in
    *@sha256:* | cutover:* | */cutover:* | *\$*) continue ;;
    *:*) ;;
    *) continue ;; # the name of an earlier stage
  esac
  digest=$(digest_of "$image")
  if ! printf %s "$digest" | grep -Eqx 'sha256:[0-9a-f]{64}'; then
    echo "expected a digest of $image, got: $digest" >&2
    exit 1
  fi
  name=$(printf %s "$image" | sed 's/[.[\*^$/]/\\&/g')
  printf '%s\n' "s/(^|[[:space:]\"'])$name(\$|[[:space:]\"'])/\\1$name@$digest\\2/" >>"$pins"
  echo "$image@$digest"
done
for file in "$@"; do sed -E -i.bak -f "$pins" "$file" && rm "$file.bak"; done
