#!/bin/sh
# Brings Temporal's two databases to the schema of this image. Safe to repeat; SQL_* variables hold the connection.
set -eu

schema=/etc/temporal/schema/postgresql/v12

update() {
  temporal-sql-tool --db "$1" setup-schema -v 0.0
  temporal-sql-tool --db "$1" update-schema -d "$schema/$2/versioned"
}

update temporal temporal
update temporal_visibility visibility
