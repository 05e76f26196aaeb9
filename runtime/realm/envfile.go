package realm

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"unicode"
)

// maxEnvFile is far above any file written by hand.
const maxEnvFile = 1 << 20

var (
	envLine    = regexp.MustCompile(`^(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*(?:=|:[ \t])[ \t]*`)
	envEscapes = strings.NewReplacer(`\n`, "\n", `\r`, "\r", `\t`, "\t", `\"`, `"`, `\\`, `\`)
)

// readEnvFile adds the variables of a file as the clients that have envFile read it: lines NAME=value, with or without export, blank lines
// and lines that begin with #. A value in ", ' or ` may go over several lines; in " it has the escapes \n, \r, \t, \" and \\. After a value
// a # begins a comment. Where a # stands within a word without quotes, some programs cut the value there and others keep it, so that is an
// error. Nothing is expanded. No error has a part of the file.
func readEnvFile(path string, into map[string]string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if len(raw) > maxEnvFile {
		return fmt.Errorf("%s has %d bytes; the most is %d", path, len(raw), maxEnvFile)
	}
	text := string(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")))
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	for n := 1; text != ""; {
		line, _, _ := strings.Cut(text, "\n")
		used := len(line)
		if start := strings.TrimLeft(line, " \t"); strings.TrimSpace(start) != "" && start[0] != '#' {
			m := envLine.FindStringSubmatch(start)
			if m == nil {
				return fmt.Errorf("%s:%d: want NAME=value", path, n)
			}
			before := len(line) - len(start) + len(m[0])
			value, length, wrong := envValue(text[before:])
			if wrong != "" {
				return fmt.Errorf("%s:%d: %s", path, n, wrong)
			}
			into[m[1]] = value
			used = before + length
		}
		n += strings.Count(text[:used], "\n") + 1
		text = strings.TrimPrefix(text[used:], "\n")
	}
	return nil
}

// envValue reads the value at the start of a text, and how much of the text is the value and the rest of its line.
func envValue(text string) (value string, length int, wrong string) {
	line, _, _ := strings.Cut(text, "\n")
	if line != "" && strings.ContainsRune("\"'`", rune(text[0])) {
		end := envQuoteEnd(text)
		if end < 0 {
			return "", 0, "the quotes around the value do not end"
		}
		rest, _, _ := strings.Cut(text[end+1:], "\n")
		if after := strings.TrimSpace(rest); after == "" || after[0] == '#' {
			value = text[1:end]
			if text[0] == '"' {
				value = envEscapes.Replace(value)
			}
			return value, end + 1 + len(rest), ""
		}
		if end < len(line) {
			return "", 0, "something follows the quotes around the value: put all of it in quotes"
		}
		return "", 0, "the quotes around the value do not end on their line, and something follows those that end them"
	}
	for i, r := range line {
		switch {
		case r != '#':
		case i == 0 || unicode.IsSpace(rune(line[i-1])):
			return strings.TrimSpace(line[:i]), len(line), ""
		default:
			return "", 0, "programs disagree whether # begins a comment within a word: put the value in quotes, or a blank before the #"
		}
	}
	return strings.TrimSpace(line), len(line), ""
}

// envQuoteEnd is where the quotes end that a text begins with; negative: they do not.
func envQuoteEnd(text string) int {
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '\\' && text[0] == '"':
			i++
		case text[i] == text[0]:
			return i
		}
	}
	return -1
}
