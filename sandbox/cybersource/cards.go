package cybersource

import (
	"strings"
	"time"
)

// card is what is kept of a card: never its number.
type card struct {
	Prefix          string `json:"prefix"` // first six digits
	Suffix          string `json:"suffix"` // last four
	Type            string `json:"type"`   // three-digit code, "001" is Visa
	ExpirationMonth string `json:"expirationMonth,omitempty"`
	ExpirationYear  string `json:"expirationYear,omitempty"`
}

// masked is the card number as the API shows it: six digits, X, four digits.
func (c card) masked() string { return c.Prefix + "XXXXXX" + c.Suffix }

// expired says whether the card's last month is over.
func (c card) expired(now time.Time) bool {
	last, err := time.Parse("2006-01", c.ExpirationYear+"-"+c.ExpirationMonth)
	return err == nil && !now.Before(last.AddDate(0, 1, 0))
}

// brand is one row of the card type table.
type brand struct {
	code   string // Cybersource card type
	method string // letters in search results and reports
	flex   string // name in allowedCardNetworks
	minLen int
	maxLen int
}

var (
	visa       = brand{"001", "VI", "VISA", 13, 16}
	mastercard = brand{"002", "MC", "MASTERCARD", 16, 16}
	amex       = brand{"003", "AX", "AMEX", 15, 15}
	discover   = brand{"004", "DI", "DISCOVER", 16, 19}
	diners     = brand{"005", "DC", "DINERSCLUB", 14, 16}
	jcb        = brand{"007", "JC", "JCB", 16, 19}
	maestro    = brand{"042", "MI", "MAESTRO", 12, 19}
	uatp       = brand{"040", "UA", "UATP", 15, 15}
	unionPay   = brand{"062", "UP", "CUP", 16, 19}
)

// brandOf finds the brand by the number's leading digits.
func brandOf(number string) (brand, bool) {
	within := func(n int, low, high string) bool {
		return len(number) >= n && number[:n] >= low && number[:n] <= high
	}
	switch {
	case within(1, "4", "4"):
		return visa, true
	case within(2, "51", "55"), within(4, "2221", "2720"):
		return mastercard, true
	case within(2, "34", "34"), within(2, "37", "37"):
		return amex, true
	case within(4, "6011", "6011"), within(3, "644", "649"), within(2, "65", "65"):
		return discover, true
	case within(3, "300", "305"), within(2, "36", "36"), within(2, "38", "39"):
		return diners, true
	case within(4, "3528", "3589"):
		return jcb, true
	case within(2, "62", "62"):
		return unionPay, true
	case within(2, "50", "50"), within(2, "56", "58"), within(2, "67", "67"), within(2, "63", "63"):
		return maestro, true
	case within(1, "1", "1"):
		return uatp, true
	}
	return brand{}, false
}

// methodOf gives the letters of a card type in search results.
func methodOf(cardType string) string {
	for _, b := range []brand{visa, mastercard, amex, discover, diners, jcb, maestro, uatp, unionPay} {
		if b.code == cardType {
			return b.method
		}
	}
	return ""
}

func luhnValid(number string) bool {
	sum := 0
	for i := range len(number) {
		digit := int(number[len(number)-1-i] - '0')
		if i%2 == 1 {
			digit *= 2
			if digit > 9 {
				digit -= 9
			}
		}
		sum += digit
	}
	return sum%10 == 0
}

// cardOf keeps of a number what may be kept.
func cardOf(number, month, year string) card {
	kept := card{ExpirationMonth: month, ExpirationYear: fourDigitYear(year)}
	if b, known := brandOf(number); known {
		kept.Type = b.code
	}
	if len(number) >= 10 {
		kept.Prefix, kept.Suffix = number[:6], number[len(number)-4:]
	}
	return kept
}

func fourDigitYear(year string) string {
	if len(year) == 2 {
		return "20" + year
	}
	return year
}

// maskAll hides all but the last four digits, the way a browser token shows the number.
func maskAll(number string) string {
	return strings.Repeat("X", max(0, len(number)-4)) + number[max(0, len(number)-4):]
}
