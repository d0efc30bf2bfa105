#!/bin/sh
# Start script of the stand-in for WSO2 Streaming Integrator.

script="$0"
while [ -h "$script" ]; do
  target=$(readlink "$script")
  case "$target" in
    /*) script="$target" ;;
    *) script="$(dirname "$script")/$target" ;;
  esac
done
[ -z "$CARBON_HOME" ] && CARBON_HOME=$(cd "$(dirname "$script")/.." && pwd)

# Jars are installed with the java of PATH, while the server runs with JAVA_HOME. Without one nothing is installed.
java -cp "$CARBON_HOME/wso2/lib/plugins/standin.jar" -XX:TieredStopAtLevel=1 standin.si.InstallJars "$CARBON_HOME"

"$CARBON_HOME/wso2/server/bin/carbon.sh" "$@"
exit
