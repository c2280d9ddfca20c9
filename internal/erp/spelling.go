package erp

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// maxCodeLength is the longest stock code of any ERP; a customer code is shorter.
const maxCodeLength = 30

// lookalikes are what people take for one another when they type a code off a page.
var lookalikes = map[byte]string{
	'0': "O", 'O': "0", '1': "IL", 'I': "1", 'L': "1", '5': "S", 'S': "5", '8': "B", 'B': "8", '2': "Z", 'Z': "2", '6': "G", 'G': "6",
}

var (
	separators   = regexp.MustCompile(`[-_./ ]+`)
	digits       = regexp.MustCompile(`[0-9]+`)
	leadingZeros = regexp.MustCompile(`(^|[^0-9])0+([0-9])`)
	boundary     = regexp.MustCompile(`([A-Z])([0-9])|([0-9])([A-Z])`)
)

// Distance is how far a spelling is from what was written; the nearest that exist count alone.
type Distance int

// The distances.
const (
	WrittenOtherwise Distance = iota // other case, other separators, zeros before a number
	TypicalSlip                      // characters that look alike, a variant's suffix, two swapped, one too many, one doubled
	OtherEdit                        // one wrong or missing
)

// Spelling is a code that somebody may have meant who wrote another one.
type Spelling struct {
	Code     string
	Distance Distance
}

// Nearest gives what exists of the candidates at the smallest distance at which anything does, in their order, each once. exists tells whether
// an ERP has a code, and how it spells it.
func Nearest(candidates []Spelling, exists func(code string) (string, bool)) []string {
	var near []string
	distance := OtherEdit
	for _, candidate := range candidates {
		code, known := exists(candidate.Code)
		if !known || len(near) > 0 && candidate.Distance > distance || slices.Contains(near, code) {
			continue
		}
		distance = candidate.Distance
		near = append(near, code)
	}
	return near
}

// Spellings gives codes that somebody may have meant who wrote code, the nearest first. They are at most a number, each once, and never code
// itself.
func Spellings(code string, most int) []Spelling {
	s := &speller{most: most, seen: map[string]bool{code: true, "": true}}
	upper := strings.ToUpper(strings.TrimSpace(code))
	joined := separators.ReplaceAllString(upper, "")
	s.add(upper, strings.ToLower(upper), joined, separators.ReplaceAllString(upper, "-"))
	s.add(leadingZeros.ReplaceAllString(joined, "$1$2"), leadingZeros.ReplaceAllString(upper, "$1$2"), digits.ReplaceAllString(joined, "0$0"))
	s.add(boundary.ReplaceAllString(joined, "$1$3-$2$4"))
	s.distance = TypicalSlip
	s.lookalikes(joined)
	s.stems(upper)
	s.slips(joined)
	s.distance = OtherEdit
	s.edits(joined)
	return s.found
}

type speller struct {
	most     int
	distance Distance
	seen     map[string]bool
	found    []Spelling
}

func (s *speller) add(codes ...string) {
	for _, code := range codes {
		if len(s.found) < s.most && len(code) <= maxCodeLength && !s.seen[code] {
			s.seen[code] = true
			s.found = append(s.found, Spelling{code, s.distance})
		}
	}
}

func (s *speller) lookalikes(code string) {
	for i := range len(code) {
		for _, other := range lookalikes[code[i]] {
			s.add(code[:i] + string(other) + code[i+1:])
		}
	}
}

// stems are the code without its last segments: "A100-BLUE-XL", "A100-BLUE", "A100".
func (s *speller) stems(code string) {
	parts := separators.Split(code, -1)
	for n := len(parts) - 1; n > 0; n-- {
		s.add(strings.Join(parts[:n], "-"))
	}
}

// slips are the codes with two characters swapped, with one left out or doubled.
func (s *speller) slips(code string) {
	if !plain(code) {
		return
	}
	for i := 0; i+1 < len(code); i++ {
		s.add(code[:i] + code[i+1:i+2] + code[i:i+1] + code[i+2:])
	}
	for i := range len(code) {
		s.add(code[:i]+code[i+1:], code[:i+1]+code[i:])
	}
}

// edits are the codes with another digit in the place of a digit, and with any of their own characters put in or in another's place.
func (s *speller) edits(code string) {
	if !plain(code) {
		return
	}
	for i := len(code) - 1; i >= 0; i-- {
		for digit := byte('0'); digit <= '9' && code[i] >= '0' && code[i] <= '9'; digit++ {
			s.add(code[:i] + string(digit) + code[i+1:])
		}
	}
	for i := len(code); i >= 0; i-- {
		for j := range len(code) {
			s.add(code[:i] + code[j:j+1] + code[i:])
			if i < len(code) {
				s.add(code[:i] + code[j:j+1] + code[i+1:])
			}
		}
	}
}

// plain tells that a code's bytes are its characters, as an ERP's are.
func plain(code string) bool {
	return !strings.ContainsFunc(code, func(r rune) bool { return r > unicode.MaxASCII })
}
