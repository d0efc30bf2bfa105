#!/usr/bin/env bash
# Broken machines: the right exit code, a message that names the host and what to do next, and nobody else touched.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# refuses WHAT CODE HOST REGEX [ARGS...]
refuses() {
  local what=$1 expected=$2 host=$3 regex=$4
  shift 4
  tool run "$pattern" -i "$inventory" "$@"
  expect "$what: exit code" "$expected" "$code"
  expect_match "$what: the message names $host" "$host" "$said"
  expect_match "$what: the message says why" "$regex" "$said"
  expect_match "$what: the message says the next command" 'apim-deploy [a-z]+' "$said"
  expect_same "$what: the other machines' processes are the same" "$others" "$(processes_but "$host")"
}

step "make it so"
deploy

step "a stopped SSH server"
others=$(processes_but mi-1)
on mi-1 systemctl stop ssh.service
later on mi-1 systemctl start ssh.service
refuses "sshd stopped" 5 mi-1 'refused|unreachable'
on mi-1 systemctl start ssh.service

step "a database that stopped is started again"
before=$(java_processes)
on db-1 systemctl stop mariadb.service
later on db-1 systemctl start mariadb.service
deploy
expect "mariadb" active "$(on db-1 systemctl is-active mariadb.service)"
expect_same "no product was restarted" "$before" "$(java_processes)"

step "a database machine that is gone"
others=$(processes_but db-1)
"$lab" kill db-1
later "$lab" start db-1
# Not through `refuses`: it asks every machine for its processes.
tool run "$pattern" -i "$inventory"
expect "exit code" 5 "$code"
expect_match "the message names the host" db-1 "$said"
"$lab" start db-1
expect_same "the other machines' processes are the same" "$others" "$(processes_but db-1)"
deploy

# The rest happens on a bare machine, where a run has work to do.
"$lab" recreate si-2
others=$(processes_but si-2)

step "a wrong sudo password"
on si-2 sh -c 'printf "vagrant:right-one\n" | chpasswd; printf "vagrant ALL=(ALL) ALL\n" > /etc/sudoers.d/vagrant'
later on si-2 sh -c 'printf "vagrant ALL=(ALL) NOPASSWD:ALL\n" > /etc/sudoers.d/vagrant'
refuses "wrong password" 3 si-2 '[Ss]udo' -e ansible_become_password=wrong-one
expect "the password in the output" 0 "$(awk '/wrong-one/ { n++ } END { print n + 0 }' "$stdout" "$stderr")"
refuses "no password" 3 si-2 '[Ss]udo'
on si-2 sh -c 'printf "vagrant ALL=(ALL) NOPASSWD:ALL\n" > /etc/sudoers.d/vagrant'

step "a full disk"
on si-2 mount -t tmpfs -o size=16m tmpfs /opt
later on si-2 sh -c 'if mountpoint -q /opt; then umount -l /opt; fi'
refuses "full disk" 3 si-2 '/opt'
on si-2 umount -l /opt

step "a port that somebody else has"
# shellcheck disable=SC2016 # Perl's variable
on si-2 systemd-run --quiet --unit squatter perl -MIO::Socket::INET -e \
  'my $s = IO::Socket::INET->new(LocalPort => 9090, Listen => 1, ReuseAddr => 1) or die $!; sleep'
later on si-2 sh -c 'systemctl stop squatter.service 2>/dev/null; true'
refuses "port in use" 3 si-2 '9090'
on si-2 systemctl stop squatter.service

step "mended, one run makes it whole"
deploy
both_serve
