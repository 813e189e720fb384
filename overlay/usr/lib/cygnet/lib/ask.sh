# shellcheck shell=sh
# Questions on a slow line to a dumb terminal: one line each, nothing is drawn twice. What is typed may have lost
# characters on the way or gained some, so every answer passes a check, and is asked for again until it does.

# How `read` waits for an answer: a question that nobody answers for 10 minutes ends the menu. (Not every sh has -t.)
IDLE=${IDLE--t 600}
BACKSPACE=$(printf '\b')

# Sets `answer` to the line that was typed. Terminals differ in what they send to erase a character; the line itself
# knows DEL alone. Other control characters are noise. Fails at the end of input, and when nobody answers.
read_answer() {
	# shellcheck disable=SC2086 # split on purpose
	IFS= read -r ${1:-} answer || return 1
	while :; do
		case $answer in
		*"$BACKSPACE"*) _before=${answer%%"$BACKSPACE"*} && answer=${_before%?}${answer#*"$BACKSPACE"} ;;
		*) break ;;
		esac
	done
	case $answer in
	*[![:print:]]*) answer=$(printf '%s' "$answer" | tr -d '[:cntrl:]') ;;
	esac
}

# Nothing that was not saved is kept.
leave() {
	printf '\nNobody answers: the menu ends.\n'
	exit 1
}

# ask QUESTION NOW CHECK: sets `answer`. Enter keeps NOW; a dot goes back, which fails. CHECK TEXT says in `wrong` what
# to write instead.
ask() {
	while :; do
		printf '%s [%s]: ' "$1" "$2"
		read_answer "$IDLE" || leave
		case $answer in
		.) return 1 ;;
		'') answer=$2 ;;
		esac
		wrong="this cannot be used"
		"$3" "$answer" && return 0
		printf '  ? %s\n' "$wrong"
	done
}

good_yes_or_no() {
	wrong="y or n"
	case $1 in y | n) ;; *) return 1 ;; esac
}

# agree QUESTION y|n: Enter means the second.
agree() {
	ask "$1 y/n" "$2" good_yes_or_no && [ "$answer" = y ]
}

# ask_secret QUESTION: sets `answer` to what was typed twice, unseen. Fails if nothing was, or a dot.
ask_secret() {
	while :; do
		stty -echo
		printf '%s: ' "$1" && read_answer "$IDLE" && _first=$answer && printf '\nOnce more: ' && read_answer "$IDLE"
		_heard=$?
		stty echo
		echo
		[ "$_heard" = 0 ] || leave
		case $answer in '' | .) return 1 ;; esac
		[ "$answer" != "$_first" ] || return 0
		echo "  ? these were two different texts"
	done
}

# run_told WHAT COMMAND...: runs it, with the seconds on the line as they pass; what it printed comes afterwards.
run_told() {
	printf '%s, seconds:' "$1"
	shift
	"$@" >"$STATE/menu.said" 2>&1 &
	_job=$! _second=0
	while kill -0 "$_job" 2>/dev/null; do
		sleep 1
		_second=$((_second + 1))
		printf ' %s' "$_second"
	done
	echo
	wait "$_job"
	_status=$?
	cat "$STATE/menu.said"
	rm -f "$STATE/menu.said"
	return "$_status"
}
