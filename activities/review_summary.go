package activities

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tenderline/tenderline/internal/journal"
)

// describe tells an analyst of a case, as a short Markdown list without anybody's data.
func describe(risk journal.ReviewRisk, history journal.CustomerHistory) string {
	lines := slices.Concat(describeScore(risk), describeRules(risk), []string{
		"Address check (AVS): " + explain(risk.AVS, avsMeaning(risk.AVS)) + "; card code (CVN): " + explain(risk.CVN, cvnMeaning(risk.CVN)),
		describeOrder(risk),
		describeHistory(history),
	})
	return "- " + strings.Join(lines, "\n- ")
}

func describeScore(risk journal.ReviewRisk) []string {
	if risk.Score == "" && len(risk.Factors) == 0 {
		return []string{"Risk score: the gateway told none"}
	}
	score := "Risk score: " + cmp.Or(risk.Score, "not told")
	if risk.Model != "" {
		score += " (model " + risk.Model + ")"
	}
	lines := []string{score}
	if len(risk.Factors) > 0 {
		factors := make([]string, 0, len(risk.Factors))
		for _, code := range risk.Factors {
			factors = append(factors, explain(code, factorMeaning(code)))
		}
		lines = append(lines, "Factors: "+strings.Join(factors, ", "))
	}
	return lines
}

func describeRules(risk journal.ReviewRisk) []string {
	var lines []string
	if len(risk.Rules) > 0 {
		rules := make([]string, 0, len(risk.Rules))
		for _, rule := range risk.Rules {
			rules = append(rules, strings.TrimSpace(rule.Name+" "+strings.ToLower(rule.Decision)))
		}
		lines = append(lines, "Rules: "+strings.Join(rules, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(risk.InfoCodes)) {
		lines = append(lines, fmt.Sprintf("Info (%s): %s", name, strings.Join(risk.InfoCodes[name], ", ")))
	}
	if queue := strings.TrimSpace(risk.Queue + " " + priority(risk.Priority)); queue != "" {
		lines = append(lines, "Queue: "+queue)
	}
	return lines
}

func priority(level string) string {
	if level == "" {
		return ""
	}
	return "(priority " + level + ")"
}

func describeOrder(risk journal.ReviewRisk) string {
	addresses := map[string]string{
		addressesMatch: "are the same", addressesDiffer: "differ within the country", countriesDiffer: "are in different countries",
	}[risk.Addresses]
	device := "known"
	if !risk.Device {
		device = "not known"
	}
	return fmt.Sprintf("Bill-to and ship-to %s; device %s; %s", addresses, device, count(risk.MerchantData, "merchant-defined field"))
}

func describeHistory(history journal.CustomerHistory) string {
	if history.Orders == 0 {
		return "Customer: no other order of this customer"
	}
	text := fmt.Sprintf("Customer: %s since %s, of which %d confirmed", count(history.Orders, "other order"),
		history.First.UTC().Format("2006-01-02"), history.Confirmed)
	for _, part := range []struct {
		number int
		name   string
	}{{history.Declined, "declined"}, {history.Rejected, "rejected"}, {history.Refunded, "refunded"}, {history.ChargedBack, "charged back"}} {
		if part.number > 0 {
			text += fmt.Sprintf(", %d %s", part.number, part.name)
		}
	}
	for i, spent := range history.Spent {
		if i == 0 {
			text += "; spent "
		} else {
			text += ", "
		}
		text += spent.String()
	}
	return text
}

func count(number int, what string) string {
	if number == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", number, what)
}

// explain puts the meaning of a code beside it, where it is known.
func explain(code, meaning string) string {
	switch {
	case code == "":
		return "not told"
	case meaning == "":
		return code
	default:
		return code + " (" + meaning + ")"
	}
}

// factorMeaning is what Decision Manager means by a letter of a score's factors.
func factorMeaning(code string) string {
	return map[string]string{
		"A": "many address changes", "B": "risky card range or authorization", "C": "many card numbers", "D": "risky e-mail provider",
		"E": "on the positive list", "F": "on the negative list", "G": "places don't fit together", "H": "many name changes",
		"I": "internet data don't fit", "N": "nonsensical input", "O": "obscene input", "P": "changing identity", "Q": "telephone does not fit",
		"R": "risky order", "T": "unusual time", "U": "address can't be verified", "V": "many orders in a short time", "W": "marked as suspect",
		"Y": "billing and shipping don't fit", "Z": "invalid value",
	}[code]
}

// avsMeaning is what the usual results of the address check mean.
func avsMeaning(code string) string {
	return map[string]string{
		"Y": "street and postal code match", "X": "street and postal code match", "A": "street matches, postal code does not",
		"Z": "postal code matches, street does not", "W": "postal code matches, street does not", "N": "nothing matches", "U": "not available",
	}[code]
}

// cvnMeaning is what the usual results of the card code's check mean.
func cvnMeaning(code string) string {
	return map[string]string{"M": "matches", "N": "does not match", "P": "not processed", "S": "should be on the card", "U": "issuer can't check"}[code]
}
