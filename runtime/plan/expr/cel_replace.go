package expr

import (
	"errors"
	"fmt"
	"strings"
)

// piece of a replacement: a text, and then a group of the match.
type piece struct {
	text  string
	group int // -1: none
}

// parseReplacement reads \1 as the first group, \0 as the whole match, and \\ as a backslash. $1 is refused, because a reader may mean the
// group or the text; the text is written \$1.
func parseReplacement(s string, groups int) ([]piece, error) {
	var out []piece
	var text strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '$' && i+1 < len(s) && (isDigit(s[i+1]) || s[i+1] == '{'):
			return nil, fmt.Errorf(`regex.replace: a group is written \1, got %q; for the text itself write \$`, Shorten(s[i:]))
		case c != '\\':
			text.WriteByte(c)
		case i+1 == len(s):
			return nil, errors.New(`regex.replace: the replacement ends with \; write \\ for a backslash`)
		default:
			i++
			switch next := s[i]; {
			case isDigit(next):
				n := int(next - '0')
				if n > groups {
					return nil, fmt.Errorf(`regex.replace: \%d names a group that the pattern does not have (it has %d)`, n, groups)
				}
				out = append(out, piece{text.String(), n})
				text.Reset()
			case next == '\\' || next == '$':
				text.WriteByte(next)
			default:
				return nil, fmt.Errorf(`regex.replace: \ is followed by a digit, \ or $, got %q`, Shorten(s[i-1:]))
			}
		}
	}
	if text.Len() > 0 {
		out = append(out, piece{text.String(), -1})
	}
	return out, nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
