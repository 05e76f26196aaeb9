package redact

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// level is how certain it is that a value is a secret.
type level int

const (
	ordinary level = iota
	private
	secret
)

// secretWords are words of a name that say that its value is a secret.
var secretWords = words(`key keys apikey token tokens secret secrets password passwd passphrase passcode pass pwd pw auth authorization
	authentication bearer credential credentials cred creds cookie cookies jwt pat signature sig dsn salt pin otp license`)

// secretEnds are such words that other words are written together with.
var secretEnds = []string{"apikey", "token", "secret", "password", "passwd", "passphrase", "secretkey", "accesskey", "privatekey",
	"accountkey"}

// aboutSecrets are last words of a name that is about a secret, or where it is: the value itself is none.
var aboutSecrets = words(`url uri endpoint host hostname port type kind mode method algorithm alg file path dir directory name user username id ttl
	timeout expiry expires expiration size length len limit limits max min count enabled disabled provider issuer audience scope scopes region
	prefix header format version env variable store source strategy policy required`)

// countingWords begin names of numbers, such as MAX_TOKENS.
var countingWords = words(`max min num number total count no`)

// commonWords are values that appear in ordinary texts, also where a name promises a secret.
var commonWords = words(`true false none null undefined default enabled disabled required optional always never auto basic bearer digest negotiate token
	apikey api-key api_key oauth oauth2 jwt password secret secrets header cookie anonymous public private unknown changeme example placeholder
	localhost production staging development debug testing username authorization`)

func words(text string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(text) {
		m[w] = true
	}
	return m
}

// isSecretName reports whether the value of the variable, header, flag, parameter or member with this name is a secret.
func isSecretName(name string) bool {
	parts := splitName(name)
	if isAbout(parts) {
		return false
	}
	for _, part := range parts {
		if secretWords[part] || slices.ContainsFunc(secretEnds, func(end string) bool { return strings.HasSuffix(part, end) }) {
			return true
		}
	}
	return false
}

// isAbout reports whether the words of a name say that its value is a setting.
func isAbout(name []string) bool {
	return len(name) > 0 && (aboutSecrets[name[len(name)-1]] || countingWords[name[0]])
}

// splitName splits a name into its words, in lower case: API_KEY, api-key and apiKey are api and key.
func splitName(name string) (parts []string) {
	var word []rune
	end := func() {
		if len(word) > 0 {
			parts, word = append(parts, strings.ToLower(string(word))), nil
		}
	}
	before := ' '
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			end()
		case unicode.IsUpper(r) && unicode.IsLower(before):
			end()
			word = append(word, r)
		default:
			word = append(word, r)
		}
		before = r
	}
	end()
	return parts
}

// levelOf is the level of a value under a name; the name may be empty.
func levelOf(name, value string) level {
	switch {
	case len(value) < MinLength || commonWords[strings.ToLower(value)]:
		return ordinary
	case looksLikeKey(value):
		return secret
	case isPlace(value):
		return ordinary
	case isSecretName(name):
		if isNumber(value) && len(value) < 8 {
			return ordinary
		}
		return secret
	case isRandom(value):
		return secret
	case name == "" || isOrdinary(value) || isAbout(splitName(name)):
		return ordinary
	}
	return private
}

var (
	// keyPrefix matches how known kinds of keys begin.
	keyPrefix = regexp.MustCompile(`^(sk|pk|rk)[-_][A-Za-z0-9_-]{12,}$|^(gh[pousr]_|github_pat_|glpat-|xox[abposr]-|hf_|npm_|pypi-|dop_v1_|ntn_|secret_|lin_api_|shpat_|SG\.)[A-Za-z0-9_.-]{8,}$|` +
		`^(AKIA|ASIA)[A-Z0-9]{12,}$|^AIza[A-Za-z0-9_-]{20,}$|^eyJ[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*){1,4}$|-----BEGIN [A-Z ]*PRIVATE KEY`)
	place   = regexp.MustCompile(`^(~|\.{1,2})?(/[\w.@+ -]*)+(:(/[\w.@+ -]*)+)*$|^[A-Za-z]:\\[^:]*$|^[a-z][a-z0-9+.-]*://[^@?\s]*$`)
	number  = regexp.MustCompile(`^[+-]?[0-9][0-9_.,:]*[A-Za-z%]{0,3}$`)
	uuid    = regexp.MustCompile(`(?i)^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	digest  = regexp.MustCompile(`(?i)^(sha[0-9]+:)?[0-9a-f]+$`)
	oneWord = regexp.MustCompile(`^[A-Za-z]+[0-9]{0,4}[a-z]?$`)
	known   = regexp.MustCompile(`^v?[0-9]+(\.[0-9]+)+([-+.][\w.]+)?$|` + // a version
		`^[\w.-]+\.[A-Za-z]{2,}(:[0-9]+)?$|^[\w.+-]+@[\w-]+(\.[\w-]+)+$|^(localhost|[0-9.]+)(:[0-9]+)?$|` + // a host, an address
		`^[a-z]{2}_[A-Z]{2}([.@][\w-]+)?$|^[A-Z][A-Za-z]+/[A-Z][A-Za-z_]+$|^[a-z]{2,}-[a-z]+-[0-9][a-z]?$|` + // a locale, a time zone, a region
		`^@?[a-z0-9._-]+/[a-z0-9._/-]+(@[\w.-]+)?$|^[a-z]+/[\w.+-]+(; ?[\w-]+=[\w.-]+)*$`) // a package, a media type
	list = regexp.MustCompile(`^[A-Za-z0-9*]+(, *[A-Za-z0-9*]+)+$`)
)

func looksLikeKey(v string) bool { return keyPrefix.MatchString(v) }

// isPlace reports whether the value is a path, a list of paths, or a URL without user and query.
func isPlace(v string) bool { return place.MatchString(v) && !isRandom(strings.Trim(v, "/")) }

func isNumber(v string) bool { return number.MatchString(v) }

// isOrdinary reports whether the value is of a kind that is no secret and often appears in texts.
func isOrdinary(v string) bool {
	return isNumber(v) || oneWord.MatchString(v) && !isRandom(v) || known.MatchString(v) || list.MatchString(v)
}

// isRandom reports whether the value looks as if a machine had made it up: long, and letters, digits and cases often alternate. Ids
// and digests are not meant, which appear in results.
func isRandom(v string) bool {
	if len(v) < 16 || uuid.MatchString(v) || digest.MatchString(v) {
		return false
	}
	changes, digits, before := 0, 0, 'x'
	for _, r := range v {
		var kind rune
		switch {
		case r >= '0' && r <= '9':
			kind, digits = '0', digits+1
		case r >= 'a' && r <= 'z':
			kind = 'a'
		case r >= 'A' && r <= 'Z':
			kind = 'A'
		case strings.ContainsRune("+/=_-.~", r):
			kind = '-'
		default:
			return false
		}
		if kind != before && kind != '-' && before != '-' && !(before == 'A' && kind == 'a') { // a capital begins a word
			changes++
		}
		before = kind
	}
	return changes*5 >= len(v) && (digits >= 2 || changes*3 >= len(v))
}
