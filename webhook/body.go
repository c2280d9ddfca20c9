package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/tenderline/tenderline/internal/canonical"
)

// readBody reads a JSON body as it stands and refuses one that holds a card number, before anything else sees it. The refusal says
// where the number stands, never what it is.
func readBody(c echo.Context) ([]byte, error) {
	r := c.Request()
	media, _, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType))
	if encoding := r.Header.Get(echo.HeaderContentEncoding); err != nil || media != echo.MIMEApplicationJSON || (encoding != "" && encoding != "identity") {
		return nil, newProblem(http.StatusUnsupportedMediaType, typeMediaType, "send Content-Type: application/json, not compressed")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, readFault(err)
	}
	return body, refuseCards(body, "")
}

// readFault tells a body that broke off, which is the caller's affair, from one that is too large.
func readFault(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	p := newProblem(http.StatusBadRequest, typeMalformed, "the body broke off")
	p.cause = err
	return p
}

// refuseCards searches a body for card numbers. strip is the part of the pointers that the caller did not write.
func refuseCards(body []byte, strip string) error {
	found, _ := canonical.FindCardNumbers(body) // a body that is not JSON is searched as text and refused by its reader
	for i := range found {
		found[i].Pointer = strings.TrimPrefix(found[i].Pointer, strip)
	}
	return refusal(found)
}

// refusal says where card numbers stand, nil where there are none.
func refusal(found []canonical.Finding) error {
	if len(found) == 0 {
		return nil
	}
	p := newProblem(http.StatusUnprocessableEntity, typeCardData, "card numbers are not taken; send a token. Nothing of the request was kept.")
	for _, finding := range found {
		p.Errors = append(p.Errors, canonical.Problem{
			Pointer: finding.Pointer, Rule: canonical.RuleCardNumber, Message: "holds what has the shape of a card number",
		})
	}
	return p
}

// readCorrectionBody is readBody for an answer to a parked step: what stands for a stock code in it may look like one of an order.
func readCorrectionBody(c echo.Context) ([]byte, error) {
	body, err := readBody(c)
	var refused *problem
	if err == nil || body == nil || !errors.As(err, &refused) {
		return body, err
	}
	return body, refusal(FindCardsInCorrection(body))
}

var correctedSKU = regexp.MustCompile(`^/correction/order/~1(lines~1[0-9]{1,3}~1sku)$`)

// FindCardsInCorrection is canonical.FindCardNumbers for the body of an answer to a parked step. The stock codes that it corrects are
// searched as an order's are: an article number with its check digit is none of a card.
func FindCardsInCorrection(body []byte) []canonical.Finding {
	found, _ := canonical.FindCardNumbers(body) // a body that is not JSON is searched as text and refused by its reader
	var in struct {
		Correction struct {
			Order map[string]json.RawMessage `json:"order"`
		} `json:"correction"`
	}
	if len(found) == 0 || json.Unmarshal(body, &in) != nil {
		return found
	}
	return slices.DeleteFunc(found, func(finding canonical.Finding) bool {
		place := correctedSKU.FindStringSubmatch(finding.Pointer)
		if place == nil {
			return false
		}
		code, there := in.Correction.Order["/"+strings.ReplaceAll(place[1], "~1", "/")]
		cards, err := canonical.FindCardNumbers(fmt.Appendf(nil, `{"lines":[{"sku":%s}]}`, code))
		return there && err == nil && len(cards) == 0
	})
}

// decode reads a body strictly: one object with known fields.
func decode(body []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return unreadable(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return malformed(canonical.RuleTrailingData, "goes on after the end of the document")
	}
	return nil
}

// unreadable says what of a body can't be read, without quoting it.
func unreadable(err error) *problem {
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrongType):
		pointer := ""
		if wrongType.Field != "" {
			pointer = "/" + strings.ReplaceAll(wrongType.Field, ".", "/")
		}
		return invalid([]canonical.Problem{{Pointer: pointer, Rule: canonical.RuleType, Message: "has the wrong type"}})
	case strings.HasPrefix(err.Error(), "json: unknown field"):
		return invalid([]canonical.Problem{{Pointer: "", Rule: canonical.RuleUnknownField, Message: "has a field that is not known here"}})
	default:
		return malformed(canonical.RuleMalformed, "is not JSON")
	}
}

// malformed is a body that is no document at all.
func malformed(rule, message string) *problem {
	p := newProblem(http.StatusBadRequest, typeMalformed, "")
	p.Errors = []canonical.Problem{{Pointer: "", Rule: rule, Message: message}}
	return p
}

// broken tells whether problems say that a body is no document, rather than a wrong one.
func broken(problems []canonical.Problem) bool {
	return slices.ContainsFunc(problems, func(p canonical.Problem) bool {
		return p.Rule == canonical.RuleMalformed || p.Rule == canonical.RuleTrailingData || p.Rule == canonical.RuleTooDeep
	})
}

// maxRemark is the longest comment or reason, in characters.
const maxRemark = 500

// checkRemark bounds a text that a person wrote.
func checkRemark(pointer, text string) []canonical.Problem {
	switch {
	case utf8.RuneCountInString(text) > maxRemark:
		return []canonical.Problem{{Pointer: pointer, Rule: canonical.RuleMaxLength, Message: fmt.Sprintf("has more than %d characters", maxRemark)}}
	case strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }):
		return []canonical.Problem{{Pointer: pointer, Rule: canonical.RuleControl, Message: "must not hold control characters"}}
	default:
		return nil
	}
}
