package sagepro

import (
	"net/http"
	"strings"
	"time"
)

// homeCurrency is the company's own, which rates are in.
const homeCurrency = "USD"

// firstRates are what one unit of a currency costs in the company's own, for the weeks before a company is new.
var firstRates = map[string]string{"EUR": "1.0812", "GBP": "1.2745", "JPY": "0.006512", "CAD": "0.7321"}

// weeksOfRates is how many weeks back the rates of a new company reach.
const weeksOfRates = 12

func (s *Server) seedRates(w *writer) {
	for currency, rate := range firstRates {
		for week := range weeksOfRates {
			date := s.now().AddDate(0, 0, -7*week).Format(time.DateOnly)
			w.insert("sycrate", row{"currid": currency, "ratedate": date, "rate": rate})
		}
	}
}

type rateInput struct {
	Currency string
	Date     string // YYYY-MM-DD, from which it holds; absent: today
	Rate     *numeric
}

type rateAnswer struct {
	success
	Currency, Date, Rate string
}

// ratePlaces are the decimals that the table keeps of a rate.
const ratePlaces = 6

// setRate writes down what a currency costs from a day on.
func (c *clerk) setRate(in *rateInput) (any, error) {
	code, date := strings.ToUpper(strings.TrimSpace(in.Currency)), in.Date
	if date == "" {
		date = c.today()
	}
	if len(code) != 3 || code == homeCurrency {
		return nil, refuse(http.StatusBadRequest, codeInvalid, "Currency takes the code of another currency than %s", homeCurrency)
	}
	if _, err := time.Parse(time.DateOnly, date); err != nil {
		return nil, refuse(http.StatusBadRequest, codeInvalid, "Date is not a date (YYYY-MM-DD)")
	}
	if in.Rate == nil || !in.Rate.Round(ratePlaces).IsPositive() {
		return nil, refuse(http.StatusBadRequest, codeInvalid, "Rate takes what one %s costs in %s", code, homeCurrency)
	}
	rate := in.Rate.Round(ratePlaces).String()
	c.exec("DELETE FROM sycrate WHERE currid = ? AND ratedate = ?", code, date)
	c.insert("sycrate", row{"currid": code, "ratedate": date, "rate": rate})
	return rateAnswer{done(), code, date, rate}, c.err
}
