//! `check`: one seller by flags, many from a file, or an earlier answer by its reference.

mod answer;
mod file;
mod freshness;

use clap::Args;
use tonic::transport::Channel;

use super::Environment;
use super::arguments::CheckArguments;
use super::connection::Node;
use super::failure::{Failure, Outcome};
use super::input::{Defaults, Purpose, may_be_a_phone};
use super::output::Printer;
use super::reading::Plan;
use crate::domain::IdentifierKind;
use crate::domain::limits::{MAX_IDENTIFIER_BYTES, MAX_IDENTIFIERS};
use crate::rpc::proto::screening_service_client::ScreeningServiceClient;
use crate::rpc::proto::{CheckAnswer, CheckSellerRequest, Freshness, GetCheckRequest, Identifier, LeaveWatch};

use answer::Answer;

pub(super) use file::CheckRows;
pub(super) use freshness::{FeedView, FreshnessView};

/// One seller by flags.
#[derive(Args)]
#[command(next_help_heading = "One seller")]
pub(super) struct SellerArguments {
    /// platform:id
    #[arg(long, value_name = "ACCOUNT")]
    marketplace_account: Vec<String>,
    /// A domain, or a host below it.
    #[arg(long)]
    domain: Vec<String>,
    /// An address on the web.
    #[arg(long)]
    url: Vec<String>,
    /// International, or national with --region.
    #[arg(long)]
    phone: Vec<String>,
    /// An e-mail address.
    #[arg(long)]
    email: Vec<String>,
    /// IBAN, or country:bank:account.
    #[arg(long, value_name = "ACCOUNT")]
    bank_account: Vec<String>,
    /// USCC, or country:register:number.
    #[arg(long, value_name = "NUMBER")]
    business_licence: Vec<String>,
    /// scheme:value
    #[arg(long)]
    tax_id: Vec<String>,
    /// scheme:value
    #[arg(long, value_name = "ACCOUNT")]
    payment_account: Vec<String>,
    /// scheme:value, such as line:ID.
    #[arg(long, value_name = "ACCOUNT")]
    messaging_account: Vec<String>,
    /// Weak: only supports.
    #[arg(long, value_name = "NAME")]
    legal_name: Vec<String>,
    /// Weak: only supports.
    #[arg(long, value_name = "ADDRESS")]
    postal_address: Vec<String>,
}

impl SellerArguments {
    /// The identifiers, by kind and then as they were given.
    pub(in crate::cli) fn identifiers(self, region: &str) -> Vec<Identifier> {
        let of_kind = |(kind, values): (IdentifierKind, Vec<String>)| {
            let region = if may_be_a_phone(kind) { region.to_owned() } else { String::new() };
            values.into_iter().map(move |value| Identifier { kind: kind.number(), value, region: region.clone() })
        };
        let kinds = [
            (IdentifierKind::MarketplaceAccount, self.marketplace_account),
            (IdentifierKind::Domain, self.domain),
            (IdentifierKind::Url, self.url),
            (IdentifierKind::Phone, self.phone),
            (IdentifierKind::Email, self.email),
            (IdentifierKind::BankAccount, self.bank_account),
            (IdentifierKind::BusinessLicence, self.business_licence),
            (IdentifierKind::TaxId, self.tax_id),
            (IdentifierKind::PaymentAccount, self.payment_account),
            (IdentifierKind::MessagingAccount, self.messaging_account),
            (IdentifierKind::LegalName, self.legal_name),
            (IdentifierKind::PostalAddress, self.postal_address),
        ];
        kinds.into_iter().flat_map(of_kind).collect()
    }
}

/// What is asked.
enum Question {
    Seller(Vec<Identifier>, Option<LeaveWatch>),
    File(Plan, Option<LeaveWatch>),
    Earlier(String),
}

impl Question {
    fn of(arguments: CheckArguments) -> Result<Self, Failure> {
        let CheckArguments { files, seller, reference, read, watch, watch_days, watch_label, .. } = arguments;
        let watch = watch.then_some(LeaveWatch { days: watch_days, label: watch_label });
        let identifiers = seller.identifiers(read.region());
        match (identifiers.is_empty(), files.as_slice(), reference) {
            (false, [], None) => Self::seller(identifiers, watch),
            (true, [path], None) => {
                let purpose = if watch.is_some() { Purpose::Watch } else { Purpose::Check };
                Ok(Self::File(read.plan(path, purpose, Defaults::default())?, watch))
            }
            (true, [], Some(reference)) => Ok(Self::Earlier(reference)),
            _ => {
                let sentence = "give the identifiers of one seller by flags, or one file of sellers, or --reference";
                Err(Failure::usage(sentence).advise("see `countermark check --help`"))
            }
        }
    }

    fn seller(identifiers: Vec<Identifier>, watch: Option<LeaveWatch>) -> Result<Self, Failure> {
        if identifiers.len() > MAX_IDENTIFIERS {
            return Err(Failure::usage("give at most 32 identifiers of one seller"));
        }
        if identifiers.iter().any(|identifier| identifier.value.len() > MAX_IDENTIFIER_BYTES) {
            return Err(Failure::usage("an identifier has at most 2048 bytes"));
        }
        Ok(Self::Seller(identifiers, watch))
    }
}

pub(super) async fn run(
    mut arguments: CheckArguments,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    let (verbose, config) = (arguments.verbose, arguments.node.config.take());
    let question = Question::of(arguments)?;
    let node = Node::reach(config.as_deref(), environment).await?;
    let client = ScreeningServiceClient::new(node.channel);
    match question {
        Question::Seller(identifiers, watch) => one(client, identifiers, watch, verbose, printer).await,
        Question::File(plan, watch) => file::run(CheckRows::new(client, watch), plan, verbose, printer).await,
        Question::Earlier(reference) => earlier(client, reference, verbose, printer).await,
    }
}

async fn one(
    mut client: ScreeningServiceClient<Channel>,
    identifiers: Vec<Identifier>,
    watch: Option<LeaveWatch>,
    verbose: bool,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    let kinds: Vec<i32> = identifiers.iter().map(|identifier| identifier.kind).collect();
    let response = client.check_seller(CheckSellerRequest { identifiers, watch }).await?.into_inner();
    show(response.answer, response.freshness, &kinds, verbose, printer)
}

async fn earlier(
    mut client: ScreeningServiceClient<Channel>,
    reference: String,
    verbose: bool,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    let response = client.get_check(GetCheckRequest { reference }).await?.into_inner();
    show(response.answer, response.freshness, &response.kinds, verbose, printer)
}

fn show(
    answer: Option<CheckAnswer>,
    freshness: Option<Freshness>,
    kinds: &[i32],
    verbose: bool,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    let answer = answer.ok_or_else(|| Failure::new("RESPONSE_INVALID", "the node answered without an answer"))?;
    let (flagged, understood) = (answer::is_flagged(&answer), answer::is_understood(&answer));
    printer.show(&Answer::of(answer, freshness.unwrap_or_default(), kinds, verbose))?;
    if !understood {
        let failure = Failure::new("VERDICT_UNKNOWN", "the node gave a verdict that this version does not know");
        return Err(failure.advise("take it for a flagged seller until you have upgraded this program to the node's version"));
    }
    Ok(if flagged { Outcome::Flagged } else { Outcome::Done })
}
