package notify

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The lengths that are enough for people; Slack and mail servers refuse much more.
const (
	maxSubject = 150
	maxName    = 60
	maxLine    = 300
	maxText    = 2500
)

// oneLine makes a text fit for a header or a list: no control or formatting characters, no line breaks, no more than max runes.
func oneLine(text string, most int) string {
	return shorten(strings.Join(strings.Fields(visible(text, false)), " "), most)
}

// paragraphs is oneLine for texts of several lines.
func paragraphs(text string, most int) string {
	return shorten(strings.TrimSpace(visible(strings.ReplaceAll(text, "\r\n", "\n"), true)), most)
}

// visible takes away what is not shown, or shows something else than is there: control characters, direction overrides, broken UTF-8.
func visible(text string, lines bool) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' && lines:
			return r
		case unicode.IsSpace(r) || unicode.IsControl(r):
			return ' '
		case unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) || r == utf8.RuneError:
			return -1
		default:
			return r
		}
	}, strings.ToValidUTF8(text, ""))
}

func shorten(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}
