#!/bin/sh
# Creates Temporal's two databases, or brings them to the schema of this image's release.
# Does nothing when they are up to date. temporal-sql-tool reads SQL_* for where and who.
set -eu

for store in temporal visibility; do
  case "$store" in
    temporal) SQL_DATABASE=temporal ;;
    visibility) SQL_DATABASE=temporal_visibility ;;
  esac
  export SQL_DATABASE
  temporal-sql-tool create-database --defaultdb postgres
  # Both commands leave a newer schema alone.
  temporal-sql-tool setup-schema --version 0.0
  temporal-sql-tool update-schema --schema-name "postgresql/v12/$store"
done
