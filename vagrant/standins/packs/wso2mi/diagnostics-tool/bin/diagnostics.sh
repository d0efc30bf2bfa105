#!/bin/sh
# Stands for the watcher that runs beside the JVM: does nothing, for as long as the start script lives.
while kill -0 "$PPID" 2>/dev/null; do
  sleep 5
done
