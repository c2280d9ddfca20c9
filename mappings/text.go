package mappings

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// transforms are the changes of text that a rule can name, applied in the order given.
var transforms = map[string]func(string) string{
	"trim":    strings.TrimSpace,
	"upper":   strings.ToUpper,
	"lower":   strings.ToLower,
	"squeeze": squeeze,
	"ascii":   ascii,
	"digits":  digits,
}

// squeeze makes every run of white space one blank, none at the ends.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// digits keeps the decimal digits 0 to 9 alone.
func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// spelled are the letters and signs that do not decompose into ASCII and a mark.
var spelled = strings.NewReplacer(
	"ß", "ss", "ẞ", "SS", "æ", "ae", "Æ", "AE", "œ", "oe", "Œ", "OE", "ø", "o", "Ø", "O", "ł", "l", "Ł", "L", "đ", "d", "Đ", "D",
	"ð", "d", "Ð", "D", "þ", "th", "Þ", "TH", "ı", "i", "ħ", "h", "Ħ", "H", "‘", "'", "’", "'", "‚", "'", "“", `"`, "”", `"`,
	"„", `"`, "–", "-", "—", "-", "‐", "-", "‑", "-", "−", "-", "…", "...", "«", `"`, "»", `"`, "€", "EUR", "£", "GBP", "·", ".",
)

// ascii writes a text as card networks carry it: accents fall, some letters are spelled out, what is left becomes "?".
func ascii(s string) string {
	if isASCII(s) {
		return s
	}
	var b strings.Builder
	for _, r := range norm.NFKD.String(spelled.Replace(s)) {
		switch {
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		case unicode.Is(unicode.Mn, r):
		case unicode.IsSpace(r):
			b.WriteByte(' ')
		default:
			b.WriteByte('?')
		}
	}
	return b.String()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// firstName is a name without its last word; of a single word, that word.
func firstName(name string) string {
	words := strings.Fields(name)
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], " ")
}

// lastName is the last word of a name.
func lastName(name string) string {
	words := strings.Fields(name)
	if len(words) == 0 {
		return ""
	}
	return words[len(words)-1]
}

func left(s string, most int) string {
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:max(most, 0)])
}

func right(s string, most int) string {
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[len(runes)-max(most, 0):])
}

// wrap breaks a text between words into lines of at most width characters and gives line n, from 0; "" when there are fewer.
func wrap(s string, width, n int) string {
	lines := wrapped(s, width)
	if n < 0 || n >= len(lines) {
		return ""
	}
	return lines[n]
}

// wrapRest gives what wrap leaves from line n on, in one line, so that a maxLength shows what does not fit.
func wrapRest(s string, width, n int) string {
	lines := wrapped(s, width)
	if n < 0 || n >= len(lines) {
		return ""
	}
	return strings.Join(lines[n:], " ")
}

func wrapped(s string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		for width > 0 && utf8.RuneCountInString(word) > width { // a word longer than a line is cut
			if line != "" {
				lines, line = append(lines, line), ""
			}
			head := left(word, width)
			lines, word = append(lines, head), word[len(head):]
		}
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
