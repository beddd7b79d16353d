#!/usr/bin/env bash
# With -daemon before everything else the broker runs in the background and writes to LOG_DIR, or logs, as with Kafka.
program="$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/millrace"
if [ "${1:-}" = -daemon ]; then
  shift
  directory=${LOG_DIR:-logs}
  mkdir -p "$directory"
  nohup "$program" kafka-server-start "$@" >"$directory/kafkaServer.out" 2>&1 </dev/null &
  exit 0
fi
exec "$program" kafka-server-start "$@"
