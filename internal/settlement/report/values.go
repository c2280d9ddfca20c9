package report

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
)

// scales remembers the minor units of currencies: looking one up costs more than reading a row.
type scales struct {
	last  string
	scale int32
	known map[string]int32
}

// of gives the minor units of a currency, false where it is none.
func (s *scales) of(code string) (int32, bool) {
	if code == s.last && code != "" {
		return s.scale, true
	}
	scale, known := s.known[code]
	if !known {
		var err error
		if scale, err = canonical.MinorUnits(code); err != nil {
			return 0, false
		}
		s.known[strings.Clone(code)] = scale
	}
	s.last, s.scale = strings.Clone(code), scale
	return scale, true
}

// maxDigits bounds the whole part of an amount: more than any transfer, and less than a card number.
const maxDigits = 12

// minor reads an amount in minor units. Decimals beyond the currency's are refused unless they are zero.
func minor(text string, scale int32) (int64, Rule) {
	negative := false
	if text != "" && (text[0] == '-' || text[0] == '+') {
		negative = text[0] == '-'
		text = text[1:]
	}
	whole, fraction, pointed := text, "", false
	if at := strings.IndexByte(text, '.'); at >= 0 {
		whole, fraction, pointed = text[:at], text[at+1:], true
	}
	if len(whole) == 0 || len(whole) > maxDigits || pointed && fraction == "" || len(fraction) > maxDigits {
		return 0, RuleAmount
	}
	var value int64
	for i := range len(whole) {
		digit := whole[i] - '0'
		if digit > 9 {
			return 0, RuleAmount
		}
		value = value*10 + int64(digit)
	}
	places := int32(0)
	for i := range len(fraction) {
		digit := fraction[i] - '0'
		switch {
		case digit > 9:
			return 0, RuleAmount
		case places < scale:
			value = value*10 + int64(digit)
			places++
		case digit != 0:
			return 0, RuleMinorUnits
		}
	}
	for ; places < scale; places++ {
		value *= 10
	}
	if negative {
		value = -value
	}
	return value, ""
}

func moneyOf(units int64, scale int32, currency string) canonical.Money {
	return canonical.Money{Amount: decimal.New(units, -scale), Currency: currency}
}

// timeLayouts are the forms that times are seen in; a time without a zone is UTC.
var timeLayouts = []string{time.DateOnly, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04:05.999999999Z0700", "20060102"}

func moment(text string) (time.Time, bool) {
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return at.UTC(), true
	}
	for _, layout := range timeLayouts {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), true
		}
	}
	return time.Time{}, false
}

// holdsCard is canonical.HoldsCardNumber with a quick look first: nearly no value of a report has 13 digits that could belong
// together.
func holdsCard(text string) bool {
	if len(text) < 13 {
		return false
	}
	digits := 0
	for i := range len(text) {
		switch c := text[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c >= utf8.RuneSelf:
			return canonical.HoldsCardNumber(text) // digits of other scripts, and separators that can't be told by one byte
		case c == ':' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z':
			if digits >= 13 {
				return canonical.HoldsCardNumber(text)
			}
			digits = 0
		}
	}
	if digits == len(text) && digits > 19 {
		return false // the gateway's ids: one unbroken run, longer than any card number
	}
	return digits >= 13 && canonical.HoldsCardNumber(text)
}

// cardTypes are the words and letters of reports for the gateway's card types.
var cardTypes = map[string]string{
	"visa": "001", "vi": "001", "mastercard": "002", "eurocard": "002", "mc": "002", "americanexpress": "003", "amex": "003", "ax": "003", "discover": "004", "di": "004",
	"dinersclub": "005", "diners": "005", "carteblanche": "006", "jcb": "007", "enroute": "014", "jal": "021", "maestroukdomestic": "024", "maestrouk": "024", "delta": "031",
	"visaelectron": "033", "dankort": "034", "cartesbancaires": "036", "cartebancaire": "036", "cartasi": "037", "uatp": "040", "maestro": "042", "maestrointernational": "042",
	"hipercard": "050", "aura": "051", "elo": "054", "carnet": "058", "mada": "060", "rupay": "061", "chinaunionpay": "062", "unionpay": "062", "meeza": "067", "eftpos": "070", "jaywan": "081",
}

// cardType gives the gateway's code of a card type, which a report gives as code, name or two letters; "" where it is not known.
func cardType(text string) string {
	switch text {
	case "": // the common words, without making a normal form
		return ""
	case "Visa", "VI":
		return "001"
	case "MasterCard", "Mastercard", "MC":
		return "002"
	}
	if len(text) == 3 && text[0] >= '0' && text[0] <= '9' && text[1] >= '0' && text[1] <= '9' && text[2] >= '0' && text[2] <= '9' {
		return text
	}
	return cardTypes[normal(text)]
}

// application reads the name of one service.
func application(name string) Applications {
	switch strings.TrimSpace(name) {
	case "":
		return 0
	case "ics_bill":
		return Bill
	case "ics_credit":
		return Credit
	case "ics_auth":
		return Auth
	case "ics_void":
		return Void
	case "ics_auth_reversal", "ics_timeout_auth_reversal", "ics_auto_auth_reversal", "ics_auto_full_auth_reversal":
		return AuthReversal
	}
	switch normal(name) { // names of other times and of the other naming convention
	case "icsbill", "bill", "capture", "cccapture", "cccaptureservice", "sale", "purchase", "icsecpdebit", "ecdebit", "debit":
		return Bill
	case "icscredit", "credit", "refund", "cccredit", "cccreditservice", "icsecpcredit", "eccredit":
		return Credit
	case "icsauth", "auth", "ccauth", "ccauthservice", "authorization":
		return Auth
	case "icsvoid", "void", "voidservice":
		return Void
	}
	return OtherApplication
}

// applications reads a list of them.
func applications(list string) Applications {
	var set Applications
	for list != "" {
		name := list
		if at := strings.IndexAny(list, ",;|"); at >= 0 {
			name, list = list[:at], list[at+1:]
		} else {
			list = ""
		}
		set |= application(name)
	}
	return set
}
