# Runs programs for a test process and outlives it by a moment: standard input is a pipe that only
# the test process holds, so its end means that the process is gone, however it ended.
# Usage: sh supervisor.sh FOLDER. A line `start NAME` runs FOLDER/NAME.cmd, `stop NAME` kills it.
trap '' INT TERM HUP
folder=$1
while read -r verb name; do
  case $verb in
    start) sh "$folder/$name.cmd" </dev/null >>"$folder/$name.log" 2>&1 & echo $! >"$folder/$name.pid" ;;
    # Its port is free only when it is gone: who is started at once would find it taken, and end.
    stop) pid=$(cat "$folder/$name.pid"); kill -9 "$pid"; wait "$pid"; rm -f "$folder/$name.pid" ;;
  esac
done 2>/dev/null
for file in "$folder"/*.pid; do kill -9 "$(cat "$file")"; done 2>/dev/null
wait
[ -n "$LEADSMAN_TEST_KEEP" ] || rm -rf "$folder"
