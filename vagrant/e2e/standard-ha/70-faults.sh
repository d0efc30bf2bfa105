#!/usr/bin/env bash
# Broken machines: the right exit code; a message that says what happened on which host, what is true now and the next
# command; nobody else touched; and when the cause is mended, one run makes it whole.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

step "make it so"
deploy

step "a stopped SSH server"
on mi-1 systemctl stop ssh.service
later on mi-1 systemctl start ssh.service
fault "sshd stopped" 5 mi-1 'refused'
on mi-1 systemctl start ssh.service

step "a database that stopped is started again"
before=$(java_processes)
on db-1 systemctl stop mariadb.service
later on db-1 systemctl start mariadb.service
deploy
expect "mariadb" active "$(on db-1 systemctl is-active mariadb.service)"
expect "hosts with changes" db-1 "$(changed_counts | awk '$2 != 0 { print $1 }' | paste -sd' ')"
expect_same "no product was restarted" "$before" "$(java_processes)"

step "a database that cannot start"
on db-1 systemctl stop mariadb.service
on db-1 chmod 0 /var/lib/mysql/ibdata1
on db-1 chown root /var/lib/mysql/ibdata1
later on db-1 sh -c 'chown mysql /var/lib/mysql/ibdata1; chmod 660 /var/lib/mysql/ibdata1; systemctl reset-failed mariadb; systemctl start mariadb'
fault "database does not start" 4 db-1 'mariadb'
on db-1 sh -c 'chown mysql /var/lib/mysql/ibdata1; chmod 660 /var/lib/mysql/ibdata1; systemctl reset-failed mariadb'

step "a database machine that is gone"
"$lab" kill db-1
later "$lab" start db-1
fault "database machine dead" 5 db-1 'reached'
"$lab" start db-1
# The other one has taken over, and the one that was active steps back when it meets the database again: until then both
# say that they are active, and a run would be right to complain.
expect_within 90 "stream integrators" "Active Passive" si_states si-1 si-2
deploy

# The rest happens on a bare machine, where a run has work to do.
"$lab" recreate si-2

step "a wrong sudo password"
on si-2 sh -c 'printf "vagrant:right-one\n" | chpasswd; printf "vagrant ALL=(ALL) ALL\n" > /etc/sudoers.d/vagrant'
later on si-2 sh -c 'printf "vagrant ALL=(ALL) NOPASSWD:ALL\n" > /etc/sudoers.d/vagrant'
fault "wrong sudo password" 3 si-2 '[Ss]udo' -e ansible_become_password=wrong-one
expect "the password in the output" 0 "$(awk '/wrong-one/ { n++ } END { print n + 0 }' "$stdout" "$stderr")"
fault "no sudo password" 3 si-2 '[Ss]udo'
on si-2 sh -c 'printf "vagrant ALL=(ALL) NOPASSWD:ALL\n" > /etc/sudoers.d/vagrant'

step "a full disk"
on si-2 mount -t tmpfs -o size=300k tmpfs /opt
later on si-2 sh -c 'if mountpoint -q /opt; then umount -l /opt; fi'
fault "full disk" 4 si-2 'No space left on device'
on si-2 umount -l /opt

step "a port that somebody else has"
# shellcheck disable=SC2016 # Perl's variable
on si-2 systemd-run --quiet --unit squatter perl -MIO::Socket::INET -e \
  'my $s = IO::Socket::INET->new(LocalPort => 9090, Listen => 1, ReuseAddr => 1) or die $!; sleep'
later on si-2 sh -c 'systemctl stop squatter.service 2>/dev/null; true'
expect_within 10 "who has the port" 1 on si-2 sh -c 'ss -ltnpH "sport = :9090" | grep -c perl'
fault "port in use" 4 si-2 '9090'
on si-2 systemctl stop squatter.service

step "mended, one run makes it whole"
deploy
all_serve
deploy
expect_same "and the next one changes nothing" "" "$(steps_that changed)"

fault_table
