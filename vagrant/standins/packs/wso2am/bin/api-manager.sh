#!/bin/sh
# shellcheck disable=SC2086 # options and arguments are words
# Start script of the stand-in for WSO2 API Manager. Same verbs, variables and exit codes as the product's.
#   JAVA_HOME (needed)   JVM_MEM_OPTS   JAVA_OPTS   CARBON_HOME   JAVACMD

script="$0"
while [ -h "$script" ]; do
  target=$(readlink "$script")
  case "$target" in
    /*) script="$target" ;;
    *) script="$(dirname "$script")/$target" ;;
  esac
done
[ -z "$CARBON_HOME" ] && CARBON_HOME=$(cd "$(dirname "$script")/.." && pwd)

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

pid_file="$CARBON_HOME/wso2carbon.pid"
alive() { [ -e "$pid_file" ] && [ -d "/proc/$(cat "$pid_file")" ]; }
in_background() {
  export CARBON_HOME
  nohup sh "$CARBON_HOME/bin/@SCRIPT@" $args > /dev/null 2>&1 &
}

verb=""
optimize=""
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
    optimize|-optimize|--optimize) optimize=yes ;;
    *) args="$args $word" ;;
  esac
done

case "$verb" in
  debug)
    if [ -z "$port" ]; then
      echo " Please specify the debug port after the --debug option"
      exit 1
    fi
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
    cat "$CARBON_HOME/bin/version.txt" "$CARBON_HOME/bin/wso2carbon-version.txt"
    exit 0 ;;
esac

# Up to 4.4: the profile's clean-up at every start that asks for it, which replaces deployment.toml each time.
if [ -n "$optimize" ] && [ -e "$CARBON_HOME/bin/profileSetup.sh" ]; then
  bash "$CARBON_HOME/bin/profileSetup.sh" $args
fi

# Outside the range there is a message and the start goes on.
jdk_min=@JDK_MIN@
jdk_max=@JDK_MAX@
major=$("$JAVACMD" -version 2>&1 | awk -F '"' '/version/ {print $2}' | awk -F. '{print ($1 == 1) ? $2 : $1 + 0}')
if [ "$major" -lt "$jdk_min" ] || [ "$major" -gt "$jdk_max" ]; then
  echo " Starting WSO2 Carbon (in unsupported JDK)"
  echo " [ERROR] CARBON is supported only between JDK $jdk_min and JDK $jdk_max"
fi

echo "JAVA_HOME environment variable is set to $JAVA_HOME"
echo "CARBON_HOME environment variable is set to $CARBON_HOME"
cd "$CARBON_HOME" || exit 1
[ -d tmp ] && rm -rf tmp/*
[ -z "$JVM_MEM_OPTS" ] && JVM_MEM_OPTS="-Xms256m -Xmx1024m"
echo "Using Java memory options: $JVM_MEM_OPTS"

"$CARBON_HOME/diagnostics-tool/bin/diagnostics.sh" &
diagnostics=$!
trap 'kill $diagnostics' EXIT INT

# The JVM asks for another round with 121. The loop ends with 0 whatever the JVM's last status was.
status=121
while [ "$status" = 121 ]; do
  "$JAVACMD" \
    $JVM_MEM_OPTS -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    -XX:+HeapDumpOnOutOfMemoryError -XX:HeapDumpPath="$CARBON_HOME/repository/logs/heap-dump.hprof" \
    $JAVA_OPTS \
    -Djava.io.tmpdir="$CARBON_HOME/tmp" -Djava.security.egd=file:/dev/./urandom -Dfile.encoding=UTF8 -Djava.net.preferIPv4Stack=true \
    -Dcarbon.home="$CARBON_HOME" -Dstandin.version=@VERSION@ -Dstandin.component=@COMPONENT@ \
    -classpath "$CARBON_HOME/repository/components/plugins/standin.jar" \
    standin.am.ApiManager $args
  status=$?
done
