#!/usr/bin/env bash
# Packs what a campaign measured, without what `report` made of it: pack.sh DIR. The same files give the same archive.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tar --create --directory "$1" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 campaign.json overrides.yaml trials |
  gzip --no-name >"$here/measured.tar.gz"
