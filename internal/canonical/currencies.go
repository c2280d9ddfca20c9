package canonical

import "golang.org/x/text/currency"

// tender holds the currencies that are legal tender somewhere today. Metals, test codes and withdrawn currencies are
// ISO codes too, but nobody can be charged in them.
var tender = func() map[string]bool {
	codes := map[string]bool{}
	for units := currency.Query(); units.Next(); {
		codes[units.Unit().String()] = true
	}
	for _, newer := range []string{"MRU", "SLE", "VED", "VES", "XCG", "ZWG"} {
		codes[newer] = true
	}
	for _, withdrawn := range []string{"ANG", "BYR", "CUC", "HRK", "MRO", "SLL", "VEF", "ZWL"} {
		delete(codes, withdrawn)
	}
	return codes
}()

// isoScales corrects the library, whose digits follow CLDR's habits of display, to the minor units of ISO 4217, which are
// what gateways and ledgers count in.
var isoScales = map[string]int32{
	"AFN": 2, "ALL": 2, "AMD": 2, "COP": 2, "CRC": 2, "GYD": 2, "IDR": 2, "IQD": 3, "IRR": 2, "KPW": 2, "LAK": 2, "LBP": 2, "MGA": 2,
	"MMK": 2, "MNT": 2, "MRU": 2, "MUR": 2, "PKR": 2, "RSD": 2, "SLE": 2, "SOS": 2, "STN": 2, "SYP": 2, "TZS": 2, "UZS": 2, "VED": 2, "VES": 2,
	"XCG": 2, "YER": 2, "ZWG": 2, "UYW": 4, "CLF": 4,
}

// knownCurrency tells whether code is an upper-case ISO 4217 code of a currency that can be paid in.
func knownCurrency(code string) bool { return tender[code] }
