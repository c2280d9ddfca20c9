package demo

import (
	"encoding/json"
	"io"
	"strings"
	"text/template"

	"github.com/tenderline/tenderline/dev/internal/samples"
	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/world"
	"github.com/tenderline/tenderline/workflows"
)

// places is what the texts speak of.
type places struct {
	UI, API, Gateway, Shop                       string // addresses
	ERPs                                         []world.ERP
	Books                                        []string // titles of the ERPs that the samples are booked in
	ERP                                          string   // address of the first one's sandbox
	Break                                        string   // fault that takes that one down, in JSON
	KeyShop, KeyAnalyst, KeyOperator, KeyFinance string
	Dir                                          string
	Ignored                                      string // variables of the caller that do not count
	OwnChannels                                  bool   // the caller's, perhaps without the samples' one
	Flag                                         string // of commands, where the API is not where they look for it
	Signal                                       string // that decides a review
	Review, ReviewPage                           string // order that waits for a review, and its page; "" is none
	Paid                                         string // order that is confirmed and paid; "" is none
	Date                                         string // business date that was settled; "" is none
}

func (p *program) places() places {
	about := places{
		UI: p.stack.Temporal.UIURL(), API: p.stack.APIURL(), Gateway: p.stack.GatewayURL(), Shop: p.stack.ShopURL(),
		ERPs: p.world.ERPs, ERP: p.world.ERP.URL, Break: inJSON(p.world.ERP.Down),
		KeyShop: stack.KeyShop, KeyAnalyst: stack.KeyAnalyst, KeyOperator: stack.KeyOperator, KeyFinance: stack.KeyFinance,
		Dir: p.dir, Ignored: strings.Join(p.ignored, ", "),
		OwnChannels: !p.noSamples && p.options.settings[prefix+"CHANNELS"]+p.options.settings[prefix+"CHANNELS_FILE"] != "",
		Signal:      workflows.SignalFraudDecision,
	}
	for _, erp := range p.erps() {
		about.Books = append(about.Books, erp.Title)
	}
	if p.offset != 0 {
		about.Flag = " --api " + about.API
	}
	return about
}

// inJSON is a fault as it is posted.
func inJSON(fault world.Fault) string {
	text, err := json.Marshal(fault)
	if err != nil {
		panic(err) // texts and numbers
	}
	return string(text)
}

// reviewing adds the order that waits for a review.
func (about places) reviewing(orderID string, page func(workflowID string) string) places {
	if orderID != "" {
		about.Review, about.ReviewPage = orderID, page(workflows.FraudReviewWorkflowID(orderID))
	}
	return about
}

// refunding adds an order that can be refunded.
func (about places) refunding(orderID string) places {
	about.Paid = orderID
	return about
}

// settling adds the business date that was settled.
func (about places) settling(date string) places {
	about.Date = date
	return about
}

// welcome says where everything is.
const welcome = `
  Temporal UI      {{.UI}}
  Side by side     {{.Shop}}/          shop, gateway and ERP per order
  API              {{.API}}      described by {{.API}}/openapi.yaml
  Sandboxes        gateway {{.Gateway}}      shop {{.Shop}}{{range .ERPs}}      {{.Title}} {{.URL}}{{end}}
  Booked in        {{range $i, $title := .Books}}{{if $i}} and {{end}}{{$title}}{{end}}
  API keys         {{.KeyShop}}  {{.KeyAnalyst}}  {{.KeyOperator}}  {{.KeyFinance}}      Authorization: Bearer {{.KeyShop}}
  State and log    {{.Dir}}      {{.Dir}}/tenderline.log

Waits for lost answers, another card and the like are shortened here; ` + "`go run . config`" + ` lists every setting.
{{- if .Ignored}}
Not used, since this run has its own: {{.Ignored}}
{{- end}}
{{- if .OwnChannels}}
The channels are yours; samples of channels such as "` + samples.Kiosk + `" and "` + samples.Hasty + `" may end differently.
{{- end}}

`

// nextSteps says what to try while it stays up.
const nextSteps = `
Everything runs. What to try next:
{{if .Review}}
Accept the order that waits for review ({{.Review}}), in one of these ways:
  in the UI       {{.ReviewPage}}
                  "Send a Signal", name  {{.Signal}}  with JSON input  {"decision":"accept"}
  by command      TENDERLINE_API_KEY={{.KeyAnalyst}} go run . fraud accept {{.Review}}{{.Flag}}
  by API          curl -H 'Authorization: Bearer {{.KeyAnalyst}}' -H 'Content-Type: application/json' \
                    -d '{"decision":"accept"}' {{.API}}/v1/fraud-reviews/{{.Review}}/decision
  what analysts see of it:  TENDERLINE_API_KEY={{.KeyAnalyst}} go run . fraud show {{.Review}}{{.Flag}}
{{end}}{{if .Paid}}
Refund an order that is paid, in part, by lines, or all that is left; then see who did what:
  TENDERLINE_API_KEY={{.KeyShop}} go run . refund create {{.Paid}} R-1 --amount 10.00 --wait 15s{{.Flag}}
  TENDERLINE_API_KEY={{.KeyShop}} go run . refund create {{.Paid}} R-2 --line 1=1 --restock{{.Flag}}
  TENDERLINE_API_KEY={{.KeyShop}} go run . refund create {{.Paid}} R-3{{.Flag}}
  TENDERLINE_API_KEY={{.KeyOperator}} go run . audit {{.Paid}}{{.Flag}}
{{end}}{{if .Date}}
See how the day was settled, and what finance reads; then settle it once more, which posts nothing twice:
  TENDERLINE_API_KEY={{.KeyFinance}} go run . settlement show {{.Date}}{{.Flag}}
  curl -H 'Authorization: Bearer {{.KeyFinance}}' '{{.API}}/v1/settlements/{{.Date}}/discrepancies?format=html' > settlement.html
  TENDERLINE_API_KEY={{.KeyFinance}} go run . settlement run {{.Date}}{{.Flag}}
  Orders since then are in no batch yet; the gateway closes it with
  curl -X POST '{{.Gateway}}/_sandbox/settle?date={{.Date}}'
{{end}}{{if .Paid}}
Credit an order as the ERP's people do; the buyer is paid back within seconds:
  curl -d '{"OrderNumber":"{{.Paid}}","Amount":5.00}' {{.ERP}}/_sandbox/credit-memos
  TENDERLINE_API_KEY={{.KeyShop}} go run . refund list {{.Paid}}{{.Flag}}
{{end}}
Submit an order of your own, with a fresh browser token:
  token=$(curl -s -d '{"scenario":"approve"}' {{.Gateway}}/_sandbox/tokens | sed 's/.*"transientTokenJwt": *"\([^"]*\)".*/\1/')
  sed -e "s/TOKEN/$token/" -e "s/WEB-10001/WEB-$(date +%s)/" samples/clean-sale.json |
    TENDERLINE_API_KEY={{.KeyShop}} go run . order submit --wait 15s{{.Flag}} -
  Other scenarios than "approve": sandbox/cybersource/TRIGGERS.md; other orders: samples/

Submit an order with a wrong stock code, and correct it as suggested where it waits:
  token=$(curl -s -d '{"scenario":"approve"}' {{.Gateway}}/_sandbox/tokens | sed 's/.*"transientTokenJwt": *"\([^"]*\)".*/\1/')
  sed -e "s/TOKEN/$token/" -e "s/WEB-10006/WEB-$(date +%s)/" samples/wrong-stock-code.json |
    TENDERLINE_API_KEY={{.KeyShop}} go run . order submit{{.Flag}} -
  TENDERLINE_API_KEY={{.KeyOperator}} go run . attention list{{.Flag}}
  TENDERLINE_API_KEY={{.KeyOperator}} go run . attention show ID{{.Flag}}
  TENDERLINE_API_KEY={{.KeyOperator}} go run . attention resolve ID --fix 1 --reason "typing error"{{.Flag}}

Break the ERP, submit an order, watch it wait, mend it:
  curl -d '{{.Break}}' {{.ERP}}/_sandbox/faults
  curl -X DELETE {{.ERP}}/_sandbox/faults
  More ways to break things: sandbox/README.md

Ctrl-C ends it; the state stays in {{.Dir}}.
`

// say prints one of the texts.
func say(out io.Writer, text string, about places) error {
	return template.Must(template.New("").Parse(text)).Execute(out, about)
}
