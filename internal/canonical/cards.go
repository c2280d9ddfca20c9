package canonical

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Finding says where a card number stands; never what it is. A field whose name holds the number appears as "*".
type Finding struct {
	Pointer string `json:"pointer"` // RFC 6901; "" where the body is not JSON
}

// ErrNotJSON tells that a body was not one JSON value, so that its raw text was searched.
var ErrNotJSON = errors.New("body is not valid JSON")

// FindCardNumbers searches every string, number and field name of a JSON body for card numbers. A body that is not JSON is searched
// as text and reported with ErrNotJSON beside what was found, so that a broken body with a card in it is recognized too.
//
// What counts as a card number: whole groups of digits of any script, 13 to 19 in all, joined by at most three separators
// each (spaces, dashes, dots, slashes and their Unicode kin, invisible characters), that pass the Luhn check and have first
// digits and length of an issuer. Not counted, to spare what shops really send: part of a longer unbroken run of digits
// (gateway ids have 22), colons as separators (clock times), "+" with up to 14 digits (telephone numbers).
// Spared by place: /lines/*/sku with a valid GTIN check digit, and /payment/token/value in the shape of its type's tokens.
func FindCardNumbers(body []byte) ([]Finding, error) {
	s := &cardScan{}
	if err := s.json(body); err != nil {
		if text := string(body); holdsCard(text) || holdsCard(unescape(text)) {
			return []Finding{{}}, ErrNotJSON
		}
		return nil, ErrNotJSON
	}
	return s.findings(), nil
}

// Bounds that keep hostile bodies cheap: pointers grow with depth, and a hundred findings say what the thousandth would.
const (
	maxScanDepth = 100
	maxFindings  = 100
)

var errTrailing = errors.New("more than one value")

type cardScan struct {
	found []Finding
	token struct {
		Token
		suspicious bool
	}
	path []cardStep
}

// cardStep is an open object or array: the member that is being read.
type cardStep struct {
	array bool
	index int
	name  string
	named bool // the name of an object's next value was read
}

func (s *cardScan) json(body []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	for ended := false; ; ended = len(s.path) == 0 {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			if len(s.path) > 0 {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		if err != nil {
			return err
		}
		if ended {
			return errTrailing // several values in a row: a number could be spread over them
		}
		if s.read(token); len(s.path) > maxScanDepth {
			return errTooDeep
		}
	}
}

func (s *cardScan) read(token json.Token) {
	switch value := token.(type) {
	case json.Delim:
		s.delimiter(value)
		return
	case string:
		if top := s.top(); top != nil && !top.array && !top.named {
			s.name(top, value)
			return
		}
		s.text(value)
	case json.Number:
		s.text(value.String())
	}
	s.next()
}

func (s *cardScan) delimiter(d json.Delim) {
	switch d {
	case '{', '[':
		s.path = append(s.path, cardStep{array: d == '['})
	default:
		s.path = s.path[:len(s.path)-1]
		s.next()
	}
}

func (s *cardScan) top() *cardStep {
	if len(s.path) == 0 {
		return nil
	}
	return &s.path[len(s.path)-1]
}

func (s *cardScan) name(top *cardStep, name string) {
	top.name, top.named = pointerToken(name), true
	if holdsCard(name) {
		s.find()
	}
}

// find notes the place that is being read.
func (s *cardScan) find() {
	if len(s.found) < maxFindings {
		s.found = append(s.found, Finding{Pointer: s.pointer()})
	}
}

// next moves past a complete value.
func (s *cardScan) next() {
	if top := s.top(); top != nil {
		top.index++
		top.named = false
	}
}

func (s *cardScan) text(value string) {
	switch {
	case s.isAt("payment", "token", "type"):
		s.token.Type = TokenType(value)
	case s.isAt("payment", "token", "value"):
		// The type may follow: judged when the body was read. A member given twice is judged each time.
		if s.token.suspicious && !s.token.opaque() {
			s.find()
		}
		s.token.Value, s.token.suspicious = value, holdsCard(value)
		return
	case s.isAt("lines", "", "sku") && validGTIN(value):
		return
	}
	if holdsCard(value) {
		s.find()
	}
}

// isAt tells whether the value that is being read stands at a path; "" is any index of an array.
func (s *cardScan) isAt(path ...string) bool {
	if len(s.path) != len(path) {
		return false
	}
	for i, step := range s.path {
		if step.array != (path[i] == "") || !step.array && step.name != path[i] {
			return false
		}
	}
	return true
}

func (s *cardScan) findings() []Finding {
	if s.token.suspicious && !s.token.opaque() {
		s.found = append(s.found, Finding{Pointer: "/payment/token/value"})
	}
	return s.found
}

func (s *cardScan) pointer() string {
	var b strings.Builder
	for _, step := range s.path {
		b.WriteByte('/')
		if step.array {
			b.WriteString(strconv.Itoa(step.index))
		} else {
			b.WriteString(step.name)
		}
	}
	return b.String()
}

var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")

// pointerToken writes a field name that came from outside as part of a pointer: bounded, and "*" where it holds a card number.
func pointerToken(name string) string {
	const most = 64
	if holdsCard(name) {
		return "*"
	}
	if utf8.RuneCountInString(name) > most {
		name = string([]rune(name)[:most]) + "…"
	}
	return pointerEscape.Replace(name)
}

// HoldsCardNumber tells whether a text holds a card number by the rules of FindCardNumbers.
func HoldsCardNumber(text string) bool { return holdsCard(text) }

func holdsCard(text string) bool {
	if len(text) < 13 {
		return false
	}
	for _, run := range digitRuns(text) {
		if run.holdsCard() {
			return true
		}
	}
	return false
}

// digitRun is a sequence of digit groups that only separators stand between.
type digitRun struct {
	digits []byte // of all groups, in ASCII
	groups []digitGroup
}

// digitGroup is an unbroken run of digits: those of the run from start up to the next group's.
type digitGroup struct {
	start int
	plus  bool // a plus sign stands before it
}

// holdsCard tries every sequence of whole neighbouring groups.
func (r *digitRun) holdsCard() bool {
	for first, from := range r.groups {
		for next := first + 1; next <= len(r.groups); next++ {
			end := len(r.digits)
			if next < len(r.groups) {
				end = r.groups[next].start
			}
			number := r.digits[from.start:end]
			if len(number) > 19 {
				break
			}
			telephone := from.plus && len(number) <= 14
			if len(number) >= 13 && !telephone && issued(string(number)) && luhn(number) {
				return true
			}
		}
	}
	return false
}

// digitRuns cuts a text into its runs and gives those long enough for a card number.
func digitRuns(text string) []digitRun {
	const mostSeparators = 3
	var runs []digitRun
	var run digitRun
	inGroup, separators, plus := false, 0, false
	closeRun := func() {
		if len(run.digits) >= 13 {
			runs = append(runs, run)
			run = digitRun{}
		}
		run.digits, run.groups, inGroup = run.digits[:0], run.groups[:0], false
	}
	for _, r := range text {
		switch digit := digitOf(r); {
		case digit >= 0:
			if !inGroup {
				run.groups = append(run.groups, digitGroup{start: len(run.digits), plus: plus})
			}
			run.digits = append(run.digits, byte('0'+digit))
			inGroup, separators, plus = true, 0, false
		case isSeparator(r):
			inGroup = false
			if separators++; separators > mostSeparators {
				closeRun()
			}
		default:
			closeRun()
			separators, plus = 0, r == '+'
		}
	}
	closeRun()
	return runs
}

// digitOf gives the value of a decimal digit of any script, or -1. Every range of Unicode's Nd starts with a zero and
// holds whole sets of ten.
func digitOf(r rune) int {
	if r <= unicode.MaxASCII {
		if r >= '0' && r <= '9' {
			return int(r - '0')
		}
		return -1
	}
	for _, span := range unicode.Nd.R16 {
		if r >= rune(span.Lo) && r <= rune(span.Hi) {
			return int(r-rune(span.Lo)) % 10
		}
	}
	for _, span := range unicode.Nd.R32 {
		if r >= rune(span.Lo) && r <= rune(span.Hi) {
			return int(r-rune(span.Lo)) % 10
		}
	}
	return -1
}

func isSeparator(r rune) bool {
	switch r {
	case ' ', '-', '.', '/', '_', ',', '|', '\\', '*':
		return true
	}
	if r <= unicode.MaxASCII {
		return r < ' ' || r == 0x7f
	}
	switch r {
	case '·', '•', '‧', '−', '⁄', '∕', '⁃', '．', '／', '＿', '，', '・', '。', '､':
		return true
	}
	return unicode.In(r, unicode.Zs, unicode.Zl, unicode.Zp, unicode.Pd, unicode.Cf, unicode.Cc, unicode.Mn)
}

// issuer is a range of first digits, with the lengths of its numbers.
type issuer struct {
	low, high string // inclusive, same length
	lengths   []int
}

var (
	sixteen  = []int{16}
	long     = []int{16, 17, 18, 19}
	anything = []int{13, 14, 15, 16, 17, 18, 19}
)

// issuers are the ranges of the brands that the gateway knows.
var issuers = []issuer{
	{"4", "4", []int{13, 16, 19}},               // Visa, Electron, Dankort and other co-brands
	{"51", "55", sixteen},                       // Mastercard
	{"2221", "2720", sixteen},                   // Mastercard
	{"34", "34", []int{15}},                     // American Express
	{"37", "37", []int{15}},                     // American Express
	{"300", "305", []int{14, 16, 17, 18, 19}},   // Diners Club, Carte Blanche
	{"3095", "3095", []int{14, 16, 17, 18, 19}}, // Diners Club
	{"36", "36", []int{14, 15, 16, 17, 18, 19}}, // Diners Club
	{"38", "39", []int{14, 16, 17, 18, 19}},     // Diners Club
	{"3528", "3589", long},                      // JCB
	{"50", "50", anything},                      // Maestro, Elo, Meeza, RuPay, Carnet, Aura
	{"56", "59", anything},                      // Maestro
	{"6", "6", anything},                        // Discover, UnionPay, Maestro, RuPay, Hipercard, Jaywan
	{"81", "82", long},                          // UnionPay, RuPay
	{"1", "1", []int{15}},                       // UATP
	{"2014", "2014", []int{15}},                 // EnRoute
	{"2149", "2149", []int{15}},                 // EnRoute
	{"2200", "2204", long},                      // Mir
	{"2869", "2869", sixteen},                   // Carnet
	{"9792", "9792", sixteen},                   // Troy
}

func issued(number string) bool {
	for _, i := range issuers {
		if prefix := number[:len(i.low)]; prefix < i.low || prefix > i.high {
			continue
		}
		for _, length := range i.lengths {
			if length == len(number) {
				return true
			}
		}
	}
	return false
}

func luhn(number []byte) bool {
	sum := 0
	for i := range number {
		digit := int(number[len(number)-1-i] - '0')
		if i%2 == 1 {
			if digit *= 2; digit > 9 {
				digit -= 9
			}
		}
		sum += digit
	}
	return sum%10 == 0
}

// validGTIN checks the GS1 check digit of GTIN-8, -12, -13 and -14.
func validGTIN(code string) bool {
	switch len(code) {
	case 8, 12, 13, 14:
	default:
		return false
	}
	sum := 0
	for i := range len(code) {
		digit := int(code[len(code)-1-i]) - '0'
		if digit < 0 || digit > 9 {
			return false
		}
		if i%2 == 1 {
			digit *= 3
		}
		sum += digit
	}
	return sum%10 == 0
}

// unescape resolves JSON's \uXXXX in a text that may not be JSON, so that an escape can't hide a digit.
func unescape(text string) string {
	if !strings.Contains(text, `\u`) {
		return text
	}
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, `\u`)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		code, err := uint64(0), fmt.Errorf("too short")
		if len(after) >= 4 {
			code, err = strconv.ParseUint(after[:4], 16, 16)
		}
		if err != nil {
			b.WriteString(`\u`)
			text = after
			continue
		}
		b.WriteRune(rune(code))
		text = after[4:]
	}
}
