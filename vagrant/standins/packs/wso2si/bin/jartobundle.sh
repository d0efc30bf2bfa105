#!/bin/sh
# Makes an OSGi bundle of a plain jar: jartobundle.sh JAR OUT_DIR
[ $# -eq 2 ] || { echo "usage: jartobundle.sh <source jar path> <destination dir path>"; exit 1; }
home=$(cd "$(dirname "$0")/.." && pwd)
exec java -cp "$home/wso2/lib/plugins/standin.jar" standin.si.InstallJars "$1" "$2"
