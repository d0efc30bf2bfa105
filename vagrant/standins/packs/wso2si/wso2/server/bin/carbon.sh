#!/bin/sh
# shellcheck disable=SC2086 # options and arguments are words
# Inner start script of the stand-in for WSO2 Streaming Integrator. Same verbs, variables and exit codes as the product's.
#   JAVA_HOME (needed)   JAVA_OPTS (heap goes here, too)   CARBON_HOME   JAVACMD

script="$0"
while [ -h "$script" ]; do
  target=$(readlink "$script")
  case "$target" in
    /*) script="$target" ;;
    *) script="$(dirname "$script")/$target" ;;
  esac
done
[ -z "$RUNTIME_HOME" ] && RUNTIME_HOME=$(cd "$(dirname "$script")/.." && pwd)
[ -z "$CARBON_HOME" ] && CARBON_HOME=$(cd "$(dirname "$script")/../../.." && pwd)

if [ -z "$JAVACMD" ]; then
  JAVACMD=java
  [ -n "$JAVA_HOME" ] && JAVACMD="$JAVA_HOME/bin/java"
fi
if [ ! -x "$JAVACMD" ]; then
  echo "Error: JAVA_HOME is not defined correctly."
  echo " CARBON cannot execute $JAVACMD"
  exit 1
fi
if [ -z "$JAVA_HOME" ]; then
  echo "You must set the JAVA_HOME variable before running CARBON."
  exit 1
fi

pid_file="$RUNTIME_HOME/runtime.pid"
alive() { [ -e "$pid_file" ] && [ -d "/proc/$(cat "$pid_file")" ]; }
in_background() {
  export CARBON_HOME RUNTIME_HOME
  nohup sh "$RUNTIME_HOME/bin/carbon.sh" $args > /dev/null 2>&1 &
}

verb=""
port=""
args=""
for word in "$@"; do
  if [ "$verb" = debug ] && [ -z "$port" ]; then
    port="$word"
    continue
  fi
  case "$word" in
    debug|-debug|--debug) verb=debug ;;
    start|-start|--start) verb=start ;;
    stop|-stop|--stop) verb=stop ;;
    restart|-restart|--restart) verb=restart ;;
    version|-version|--version) verb=version ;;
    *) args="$args $word" ;;
  esac
done

case "$verb" in
  debug)
    JAVA_OPTS="-agentlib:jdwp=transport=dt_socket,server=y,suspend=y,address=*:$port" ;;
  start)
    if alive; then
      echo "Process is already running"
      exit 0
    fi
    in_background
    exit 0 ;;
  stop)
    kill -TERM "$(cat "$pid_file")"
    exit 0 ;;
  restart)
    kill -TERM "$(cat "$pid_file")"
    while alive; do sleep 1; done
    in_background
    exit 0 ;;
  version)
    cat "$CARBON_HOME/bin/version.txt"
    exit 0 ;;
esac

jdk_min=@JDK_MIN@
jdk_max=@JDK_MAX@
major=$("$JAVACMD" -version 2>&1 | awk -F '"' '/version/ {print $2}' | awk -F. '{print ($1 == 1) ? $2 : $1 + 0}')
if [ "$major" -lt "$jdk_min" ] || [ "$major" -gt "$jdk_max" ]; then
  echo " Starting WSO2 Carbon (in unsupported JDK)"
  echo " [ERROR] CARBON is supported only between JDK $jdk_min and JDK $jdk_max"
fi

echo "JAVA_HOME environment variable is set to $JAVA_HOME"
echo "CARBON_HOME environment variable is set to $CARBON_HOME"
echo "RUNTIME_HOME environment variable is set to $RUNTIME_HOME"
cd "$RUNTIME_HOME" || exit 1

# Heap and key stores are fixed here, before JAVA_OPTS and after it. The JVM asks for another round with 121.
status=121
while [ "$status" = 121 ]; do
  "$JAVACMD" \
    -Xms256m -Xmx1024m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    -XX:+HeapDumpOnOutOfMemoryError -XX:HeapDumpPath="$RUNTIME_HOME/logs/heap-dump.hprof" \
    $JAVA_OPTS \
    -Djava.io.tmpdir="$CARBON_HOME/tmp" -Djava.security.egd=file:/dev/./urandom -Dfile.encoding=UTF8 \
    -Dcarbon.home="$CARBON_HOME" -Dwso2.runtime.path="$RUNTIME_HOME" -Dwso2.runtime=server -Dstandin.version=@VERSION@ \
    -Djavax.net.ssl.keyStore="$CARBON_HOME/resources/security/wso2carbon.jks" -Djavax.net.ssl.keyStorePassword=wso2carbon \
    -Djavax.net.ssl.trustStore="$CARBON_HOME/resources/security/client-truststore.jks" -Djavax.net.ssl.trustStorePassword=wso2carbon \
    -classpath "$CARBON_HOME/wso2/lib/plugins/standin.jar" \
    standin.si.StreamingIntegrator $args
  status=$?
done
