package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"

	commonpb "go.temporal.io/api/common/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/tenderline/tenderline/dev/internal/samples"
	"github.com/tenderline/tenderline/workflows"
)

// check is something that holds for the whole run.
type check struct {
	title string
	run   func(ctx context.Context) error
}

// checks are made once the samples have ended.
func (p *program) checks(results []samples.Result) []check {
	good := results[0].OrderID // that went well
	var all []check
	for _, erp := range p.world.ERPs {
		if w := p.world.In(erp); erp.Database {
			all = append(all,
				check{erp.Title + "'s tables have each of its orders once, with the gateway's money", func(ctx context.Context) error { return samples.TablesAgree(ctx, w, results) }},
				check{erp.Title + "'s running totals are those of its documents", func(ctx context.Context) error { return samples.NoDrift(ctx, w) }},
			)
		}
	}
	return append(all, []check{
		{"Payloads are sealed in Temporal, and the UI's codec opens them", func(ctx context.Context) error { return p.codecOpens(ctx, good) }},
		{"No card number is in a file of " + p.dir + " where it was not from the start", func(context.Context) error { return leavesNoTrace(p.dir, good) }},
	}...)
}

// make makes the checks, prints how they came out, and gives a line for each that failed.
func (p *program) make(ctx context.Context, all []check) (failed []string) {
	for _, c := range all {
		if err := c.run(ctx); err != nil {
			p.print("DIFFERS  %s: %v\n", c.title, err)
			failed = append(failed, c.title+": "+strings.ReplaceAll(err.Error(), "\n", "; "))
			continue
		}
		p.print("ok  %s\n", c.title)
	}
	return failed
}

// codecOpens does what the UI's page does in the browser: it asks the UI for the codec, and the codec for a payload that is sealed.
func (p *program) codecOpens(ctx context.Context, orderID string) error {
	sealed, err := p.history.input(ctx, workflows.OrderWorkflowID(orderID))
	if err != nil {
		return err
	}
	if err := isSealed(sealed, orderID); err != nil {
		return err
	}
	endpoint, err := p.codecOfUI(ctx)
	if err != nil {
		return err
	}
	opened, err := p.open(ctx, endpoint, sealed)
	if err != nil {
		return err
	}
	var input workflows.OrderInput
	if err := json.Unmarshal(opened.GetData(), &input); err != nil {
		return fmt.Errorf("the opened payload is not the input of the order: %w", err)
	}
	if input.Order.OrderID != orderID {
		return fmt.Errorf("the opened payload is of order %q, expected %q", input.Order.OrderID, orderID)
	}
	return nil
}

// isSealed looks that a payload shows nothing of its order.
func isSealed(payload *commonpb.Payload, orderID string) error {
	encoding := string(payload.GetMetadata()["encoding"])
	if !strings.Contains(encoding, "encrypted") {
		return fmt.Errorf("the payload's encoding is %q: not encrypted", encoding)
	}
	for _, plain := range []string{orderID, "example.com", "orderId"} {
		if bytes.Contains(payload.GetData(), []byte(plain)) {
			return fmt.Errorf("the sealed payload shows %q", plain)
		}
	}
	return nil
}

// codecOfUI is the codec that the UI tells its pages to use.
func (p *program) codecOfUI(ctx context.Context) (string, error) {
	answer, err := p.world.Call(ctx, http.MethodGet, p.stack.Temporal.UIURL()+"/api/v1/settings", "", nil)
	if err != nil {
		return "", err
	}
	var settings struct {
		Codec struct{ Endpoint string }
	}
	if err := answer.Decode(&settings); err != nil {
		return "", fmt.Errorf("read settings of the Temporal UI: %w", err)
	}
	if want := p.stack.APIURL() + "/codec"; settings.Codec.Endpoint != want {
		return "", fmt.Errorf("the Temporal UI uses the codec %q, expected %q", settings.Codec.Endpoint, want)
	}
	return settings.Codec.Endpoint, nil
}

// open has the codec open a payload for a page of the UI.
func (p *program) open(ctx context.Context, endpoint string, sealed *commonpb.Payload) (*commonpb.Payload, error) {
	body, err := protojson.Marshal(&commonpb.Payloads{Payloads: []*commonpb.Payload{sealed}})
	if err != nil {
		return nil, err
	}
	origin := p.stack.Temporal.UIURL()
	answer, err := p.world.Call(ctx, http.MethodPost, endpoint+"/decode", "", body, "Origin", origin, "X-Namespace", "default")
	if err != nil {
		return nil, err
	}
	if answer.Status != http.StatusOK {
		return nil, fmt.Errorf("the codec answered %d: %s", answer.Status, answer.Body)
	}
	if allowed := answer.Header.Get("Access-Control-Allow-Origin"); allowed != origin {
		return nil, fmt.Errorf("the codec allows the origin %q, the UI's is %q: browsers show nothing", allowed, origin)
	}
	var opened commonpb.Payloads
	if err := protojson.Unmarshal(answer.Body, &opened); err != nil || len(opened.GetPayloads()) != 1 {
		return nil, errors.Join(errors.New("the codec did not answer with one payload"), err)
	}
	return opened.GetPayloads()[0], nil
}

// mustShow are the places where whatever an order leaves is plain to see, by the start of their path.
var mustShow = []string{"journal.db", "temporal"}

// leavesNoTrace searches every file of a directory (journal, Temporal's database, ledgers, logs) for the card number of the samples, and for that
// which an old version left in Sage Pro's customers, however they are grouped. witness is an order that is there: a search that does not find that
// either proves nothing.
func leavesNoTrace(dir, witness string) error {
	home := map[string]string{} // by the form of a number, how the files' paths begin that have it from the start; "" is none
	for number, at := range map[string]string{samples.CardNumber: "", samples.LegacyCard: "sagepro.db"} {
		groups := []string{number[:4], number[4:8], number[8:12], number[12:]}
		for _, separator := range []string{"", " ", "-"} {
			home[strings.Join(groups, separator)] = at
		}
	}
	var problems []error
	shown := map[string]bool{}
	err := eachFile(dir, func(path string, content []byte) {
		for form, at := range home {
			if (at == "" || !strings.HasPrefix(path, at)) && bytes.Contains(content, []byte(form)) {
				problems = append(problems, fmt.Errorf("%s has the card number", path))
			}
		}
		for _, place := range mustShow {
			if strings.HasPrefix(path, place) && bytes.Contains(content, []byte(witness)) {
				shown[place] = true
			}
		}
	})
	for _, place := range mustShow {
		if !shown[place] {
			problems = append(problems, fmt.Errorf("the search is blind: it does not find order %s in %s", witness, place))
		}
	}
	return errors.Join(append(problems, err)...)
}

// eachFile reads every file below a directory. Files that go away meanwhile, as SQLite's journals do, are left out.
func eachFile(dir string, read func(path string, content []byte)) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	files := root.FS()
	return fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			var content []byte
			if content, err = fs.ReadFile(files, path); err == nil {
				read(path, content)
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}
