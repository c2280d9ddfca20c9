package samples

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/dev/internal/world"
	"github.com/tenderline/tenderline/sandbox/control"
)

// TestWhatIsHeldGoesOnOnceAllIsDone lets a call wait for half a minute, and ends that as soon as it may.
func TestWhatIsHeldGoesOnOnceAllIsDone(t *testing.T) {
	for name, failure := range map[string]error{"done": nil, "failed": errors.New("could not be done")} {
		t.Run(name, func(t *testing.T) {
			sandbox, carriedOut := control.New(control.Options{}), make(chan string, 2)
			mux := http.NewServeMux()
			mux.HandleFunc("POST /orders", func(http.ResponseWriter, *http.Request) { carriedOut <- "booked" })
			sandbox.Mount(mux, control.Hooks{})
			server := httptest.NewServer(sandbox.Wrap(mux))
			t.Cleanup(server.Close)
			play, free := newPlay(&world.World{Client: server.Client()}, "a", func(string) {}, nil)
			fault := world.Fault{Route: "POST /orders", Mode: "delay", DelayMs: world.Slowly, Times: 1}
			begin := func() error {
				go func() {
					_, _ = play.Call(context.WithoutCancel(t.Context()), http.MethodPost, server.URL+"/orders", "", nil)
				}()
				return nil
			}
			err := play.While(t.Context(), server.URL, fault, begin, func() error {
				carriedOut <- "meanwhile"
				return failure
			})
			require.ErrorIs(t, err, failure)
			require.Equal(t, []string{"meanwhile", "booked"}, []string{<-carriedOut, <-carriedOut})
			if failure == nil {
				<-free
			}
		})
	}
}

func TestAFinalErrorIsNotWaitedOut(t *testing.T) {
	refused := errors.New("refused")
	tries := 0
	require.Equal(t, refused, until(t.Context(), "late", func() (bool, error) {
		if tries++; tries < 3 {
			return false, errors.New("not yet")
		}
		return false, final{refused}
	}))
	require.Equal(t, 3, tries)
}
