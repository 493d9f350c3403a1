# SPDX-License-Identifier: MIT
#
# Debian packages for the tests, fetched once and kept by their SHA-256.
# Sourced by kernel, mkguest and lab.
#
# The machine's own apt configuration names the archive and its keys; a
# private copy adds the neighbouring suites, because the kernels wanted are
# newer than an old machine's suite. Nothing of the machine is changed.

cache=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}}/paravisor
apt_dir=$cache/apt
suites='bookworm bookworm-updates bookworm-backports
	trixie trixie-updates trixie-backports sid'

say() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

# Makes the private configuration and refreshes its lists when they are
# older than $1 minutes. Callers hold the lock.
apt_prepare() {
	local uri key

	# shellcheck disable=SC2016 # apt's own variables
	uri=$(apt-get indextargets \
		--format '$(ORIGIN) $(CODENAME) $(REPO_URI)' \
		'Created-By: Packages' |
		awk '$1 == "Debian" && $2 !~ /-/ { print $3; exit }')
	if [ -z "$uri" ]; then
		say "apt has no list of a Debian archive: run apt-get update"
		return 1
	fi
	for key in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
		[ -e "$key" ] && break
	done
	mkdir -p "$apt_dir"/{lists/partial,archives/partial,sources}
	printf '%s\n' 'Types: deb' "URIs: $uri" "Suites: ${suites//[$'\n\t']/ }" \
		'Components: main' "Signed-By: $key" \
		>"$apt_dir/sources/debian.sources"
	cat >"$apt_dir/apt.conf" <<-EOF
		Dir::Etc::SourceList "/dev/null";
		Dir::Etc::SourceParts "$apt_dir/sources";
		Dir::State::Lists "$apt_dir/lists";
		Dir::Cache "$apt_dir";
		Acquire::Languages "none";
		APT::Sandbox::User "root";
	EOF
	if [ -n "$(find "$apt_dir/updated" -mmin "-$1" 2>/dev/null)" ]; then
		return 0
	fi
	APT_CONFIG=$apt_dir/apt.conf apt-get -qq update >&2 || return 1
	touch "$apt_dir/updated"
}

# PACKAGE VERSION -> SHA-256 of the archive's file, empty if it has none.
deb_sha256() {
	APT_CONFIG=$apt_dir/apt.conf apt-cache show "$1=$2" 2>/dev/null |
		awk '$1 == "SHA256:" { print $2; exit }'
}

# PACKAGE VERSION SHA256 -> path of the .deb, fetched if need be.
deb_fetch() {
	local dir=$cache/$3 work sum

	if [ -e "$dir/package.deb" ]; then
		echo "$dir/package.deb"
		return 0
	fi
	mkdir -p "$cache"
	work=$(mktemp -d "$cache/fetch.XXXXXX") || return 1
	if ! (
		flock 9
		apt_prepare 1440 || exit 1
		[ -n "$(deb_sha256 "$1" "$2")" ] || apt_prepare 0 || exit 1
		cd "$work" || exit 1
		# What only the machine's own lists have: its security suite's.
		[ -n "$(deb_sha256 "$1" "$2")" ] ||
			exec apt-get -qq -o APT::Sandbox::User=root \
				download "$1=$2" >&2
		APT_CONFIG=$apt_dir/apt.conf apt-get -qq download "$1=$2" >&2
	) 9>"$cache/apt.lock"; then
		rm -rf "$work"
		return 1
	fi
	sum=$(sha256sum "$work"/*.deb | cut -c 1-64)
	if [ "$sum" != "$3" ]; then
		say "$1 $2: SHA-256 $sum, pinned $3"
		rm -rf "$work"
		return 1
	fi
	mv "$work"/*.deb "$work/package.deb"
	mv -T "$work" "$dir" 2>/dev/null || rm -rf "$work"
	echo "$dir/package.deb"
}

# PACKAGE -> path of the .deb of the newest version in the machine's suite.
deb_newest() {
	local version sum

	version=$(apt-cache policy "$1" | awk '$1 == "Candidate:" { print $2 }')
	if [ -z "$version" ] || [ "$version" = "(none)" ]; then
		say "package $1: not in the machine's suite"
		return 1
	fi
	sum=$(apt-cache show "$1=$version" |
		awk '$1 == "SHA256:" { print $2; exit }')
	deb_fetch "$1" "$version" "$sum"
}
