package samples

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/dev/internal/world"
)

func TestTableShowsEachOrderAndEveryDifference(t *testing.T) {
	var out bytes.Buffer
	err := Table(&out, []Result{
		{
			Sample: Sample{Title: "Clean sale", Want: confirmed()}, OrderID: "clean-sale-1", Evidence: good(), Took: 1260 * time.Millisecond,
		},
		{
			Sample: Sample{Title: "Decline", Want: ended("declined", "declined")}, OrderID: "declined-1", Evidence: nothing("booking", "captured"),
			Took: 12 * time.Second, Differences: []string{"order status: booking, expected declined", "charged"},
		},
		{
			Sample:  Sample{Title: "Card number", Want: Want{Status: Refused}},
			OrderID: "card-1", Evidence: Evidence{Order: world.OrderView{Status: Refused}},
		},
	}, func(orderID string) string { return "http://ui/" + orderID })
	require.NoError(t, err)
	require.Equal(t, `         SAMPLE       ORDER         OUTCOME    PAYMENT   ERP            SECONDS  TEMPORAL UI
ok       Clean sale   clean-sale-1  confirmed  captured  000001/200001  1.3      http://ui/clean-sale-1
DIFFERS  Decline      declined-1    booking    captured  -              12.0     http://ui/declined-1
ok       Card number  card-1        refused    -         -              0.0      -
declined-1 (Decline): order status: booking, expected declined
declined-1 (Decline): charged
`, out.String())
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestTableTellsThatItCouldNotBeWritten(t *testing.T) {
	require.Error(t, Table(brokenWriter{}, nil, nil))
}

func TestProgressIsOneLineForEachChange(t *testing.T) {
	now := time.Date(2026, 11, 20, 14, 3, 22, 0, time.UTC)
	list := []Sample{{Title: "Clean sale"}, {Title: "Order sent again"}}
	var out bytes.Buffer
	progress := NewProgress(&out, func() time.Time { return now }, false, list)
	play, _ := newPlay(nil, "clean-1", progress.of(list[0]), nil)
	now = now.Add(1500 * time.Millisecond)
	play.show(world.OrderView{Status: "booking"})
	play.show(world.OrderView{Status: "booking"})
	play.show(world.OrderView{Status: "booking", NeedsAttention: true})
	now = now.Add(9 * time.Second)
	play.show(world.OrderView{Status: "confirmed"})
	progress.of(list[1])("sent: as expected")
	require.Equal(t, `   1.5s  Clean sale        booking
   1.5s  Clean sale        booking, waits for an operator
  10.5s  Clean sale        confirmed
  10.5s  Order sent again  sent: as expected
`, out.String())
}

func TestProgressIsColouredOnTerminalsAlone(t *testing.T) {
	terminal := &Progress{Colour: true}
	require.Equal(t, "\x1b[32mconfirmed: as expected\x1b[0m", terminal.coloured("confirmed: as expected"))
	require.Equal(t, "\x1b[31mbooking: DIFFERS\x1b[0m", terminal.coloured("booking: DIFFERS"))
	require.Equal(t, "booking", terminal.coloured("booking"))
	require.Equal(t, "booking: DIFFERS", (&Progress{}).coloured("booking: DIFFERS"))
}

func TestOthersGoOnOnce(t *testing.T) {
	play, free := newPlay(nil, "a", func(string) {}, nil)
	play.free()
	play.free()
	<-free
}
