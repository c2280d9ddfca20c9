package cli

import (
	"github.com/spf13/cobra"
)

func (p *Program) auditCommand() *cobra.Command {
	var asJSON bool
	cmd := p.remoteCommand(&cobra.Command{
		Use:   "audit ORDER",
		Short: "Show every outside call, action and event of an order",
		Long: `Shows what was done for an order, the oldest first: calls to the systems outside, what people decided or resolved, and the
events of its timeline. An ERP worker with a journal of its own keeps its calls there.`,
		Example: `  tenderline audit WEB-10001
  tenderline audit WEB-10001 --json`,
		Args: exactly("an order id"),
	}, func(cmd *cobra.Command, args []string, r *remote, c *client) error {
		if asJSON {
			r.form = outputJSON
		}
		a, err := c.audit(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return r.write(cmd.OutOrStdout(), a, func(t *table) {
			t.row("AT", "KIND", "BY", "WHAT", "WHY OR KEY")
			for _, e := range a.value.Entries {
				why := e.Reason
				if e.Call != nil {
					why = e.Call.OperationKey
				}
				t.row(instant(e.At), e.Kind, e.Actor, e.Summary, why)
			}
		})
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "the same as -o json")
	return cmd
}
