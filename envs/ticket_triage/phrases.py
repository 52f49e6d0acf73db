"""What tickets say: nearly every sentence is one of HEADS, a space, and one of TAILS.

The order of the entries matters. The first four of each list are the plain ones of easy tickets; on the other
difficulties entries at even places belong to the train split and entries at odd places to the test split.
"""

from __future__ import annotations

# fmt: off
GREETINGS: tuple[str, ...] = (
    "Hello,", "Hi,", "Good day,", "Dear team,", "Good morning,", "Dear support,", "Hi there,", "Hello everyone,",
    "Dear Sir or Madam,", "To whom it may concern,", "Hey,", "Greetings,", "Hi support team,", "Good evening,",
)
CLOSINGS: tuple[str, ...] = (
    "Thanks,", "Regards,", "Kind regards,", "Best wishes,", "Many thanks,", "Yours sincerely,", "Best,", "Cheers,",
    "Yours,", "Warm regards,", "With thanks,", "Sincerely,",
)

HEADS: dict[str, tuple[str, ...]] = {
    "subject": (
        "Help with", "Question on", "Message about", "Note about",
        "Re:", "Concerning", "Regarding", "A word on", "Support wanted for", "Ticket on", "On the topic of", "Fwd:",
    ),
    "problem": (
        "I am writing because", "Please help:", "This is my case:", "I must tell you that",
        "The reason for this mail is that", "Here is what it is about:", "To come to the point,", "In short,",
        "I am getting in touch as", "Let me explain:", "My situation is simple:", "You should know that",
        "I am contacting you since", "What brings me here is that", "I turn to you because", "It is like this:",
    ),
    "main": (
        "My main point is this:", "What matters most is that", "The real reason why I write is that",
        "First and foremost,", "The chief thing is that", "Above all,", "Most of all this concerns you:",
        "The one thing that I need solved:",
    ),
    "side": (
        "A lesser point is that", "Only in passing:", "Less important,", "As a side note,", "Not the reason for this mail, but",
        "Of much smaller weight:", "Secondly, and this can come later,", "A footnote to all this:",
    ),
    "detail": (
        "For your records,", "To help you,", "Please note:", "As a detail,",
        "In case it helps,", "For reference,", "To save you time,", "So that you can look it up,",
        "Here is what you need:", "You may want to know that", "Just so you have it,", "To be exact,",
    ),
    "circumstance": (
        "Please know that", "Also,", "I must add that", "Keep in mind that",
        "On top of this,", "What is more,", "You should be aware that", "Allow me to say that",
        "I want to make clear that", "Be aware:", "One thing more:", "Let me also say that",
    ),
    "wish": (
        "When this is done,", "If you can,", "In the end,", "For my part,",
        "As for what comes next,", "To close this,", "If it is up to me,", "Once you have read this,",
    ),
    "aside": (
        "By the way,", "Oh,", "As it happens,", "To compare,",
        "Not that it matters, but", "Incidentally,", "For what it is worth,", "Just to avoid a mix-up,",
        "So that nothing is confused,", "Before I forget,", "Apart from that,", "Lest you wonder,",
    ),
    "filler": (
        "You know,", "Well,", "As I always say,", "To be honest,",
        "Believe it or not,", "I have to say,", "Between you and me,", "Funny enough,",
        "As you can imagine,", "Frankly,", "If I may say so,", "All things considered,",
    ),
    "forward": (
        "Hello,", "Hi,", "Please see below:", "See the mail below:",
        "Dear colleagues,", "Good day to you,", "One for you:", "Kindly have a look:",
    ),
    "quote": (
        "Dear customer,", "Good news:", "Thank you for shopping with us:", "A short update:",
        "Dear shopper,", "We are pleased to say:", "Your shop informs you:", "This is an automatic message:",
    ),
}
"""Openings of a sentence, by what it is for; a tail follows."""

ISSUES: dict[str, tuple[str, ...]] = {
    "charged_twice": (
        "you charged me twice", "my card was charged twice", "the payment was taken twice", "I paid two times by mistake",
        "there are two identical charges on my statement", "the same sum left my bank account a second time",
        "my bank shows your debit doubled", "one purchase was debited double",
    ),
    "wrong_amount": (
        "you charged me too much", "the charge is too high", "my payment was more than the price", "I paid too much",
        "the sum on my statement exceeds what the basket said", "you took more money than we had agreed",
        "my discount was left out when you took the money", "the debit is larger than the total I confirmed",
    ),
    "refund_missing": (
        "my refund has not come", "the refund is still missing", "I wait for the money you owe me", "no refund was paid",
        "the money for my return never reached my bank", "nothing has been paid back to me so far",
        "the reimbursement that you announced is nowhere to be seen", "my bank has seen no sign of your repayment",
    ),
    "invoice": (
        "I need an invoice", "the invoice has not come", "I want a receipt", "my receipt is wrong",
        "our bookkeeper asks for a proper invoice", "the invoice bears the wrong company name",
        "I require a bill that shows the tax", "no receipt was enclosed and I must hand one in",
    ),
    "late": (
        "my parcel is late", "the parcel has not come", "my delivery is too late", "the delivery has not come",
        "I am still waiting for the courier", "the promised delivery day has passed and nobody came",
        "the shipment should have been here long ago", "my doorbell has not rung although the date is gone",
    ),
    "misdelivered": (
        "the parcel went to the wrong address", "my parcel is at the wrong house", "the courier went to the wrong door",
        "the delivery went to my old house", "a stranger down the road received my shipment",
        "the driver left my box in front of a different building", "the package was taken to a town where I do not live",
        "somebody in another street signed for my package",
    ),
    "tracking": (
        "the tracking does not change", "I have no tracking number", "the tracking link is empty", "my tracking is old",
        "the tracking page has shown the same depot for days", "I was never told how to follow my shipment",
        "the courier does not recognise the tracking code", "the status of the shipment has been frozen since Monday",
    ),
    "vanished": (
        "the parcel is lost", "my parcel is marked as delivered and is not here", "the courier lost my parcel",
        "no one can find my parcel", "the courier claims to have delivered, yet there is nothing at my door",
        "the package disappeared on its way", "the depot admits that my shipment is gone",
        "my box has vanished between the warehouse and my home",
    ),
    "broken": (
        "{it} came broken", "{it} was broken in the box", "I got {it} in pieces", "I found {it} broken",
        "{it} arrived with a deep crack", "{it} fell apart when I unpacked it",
        "I opened the box and saw that {it} is damaged", "{it} reached me smashed",
    ),
    "wrong_item": (
        "I did not get {it} but a wrong thing", "you sent a wrong thing and not {it}", "the box had a wrong thing and not {it}",
        "I wanted {it} and got a wrong thing", "instead of {it} there was something else in the box",
        "what I unpacked is not {it} at all", "somebody packed another article where {it} should have been",
        "I had picked {it} and received an article that I never chose",
    ),
    "unwanted": (
        "I want to send {it} back", "I would like to return {it}", "{it} is not for me and I return it",
        "I do not like {it} and will send it back", "{it} does not suit us, so we wish to give it back",
        "I regret having chosen {it} and ask for a return label", "I have no use for {it} and want to hand it back",
        "we decided against {it} and would like you to take it back",
    ),
    "incomplete": (
        "{it} came with a part missing", "a part of {it} was not in the box", "{it} has no screws", "I miss a piece of {it}",
        "the bag with the fittings for {it} was left out", "{it} came without its lid",
        "half of the pieces that belong to {it} were never packed", "I cannot put {it} together as one leg is absent",
    ),
    "app_crash": (
        "the app stops when I open it", "your app crashes", "the app closes by itself", "my app does not open",
        "the app freezes on the start screen", "since the update your app quits after a second",
        "on my phone the application shuts down as soon as I tap it", "the mobile app only shows a grey screen",
    ),
    "site_error": (
        "the website shows an error", "your website does not open", "the site does not work", "a page shows an error",
        "the checkout page ends in error 500", "your website tells me that something went wrong",
        "the button on the last page does nothing when I click", "the shop page stays blank in every browser",
    ),
    "code_rejected": (
        "the site rejects my discount code", "my discount code does not work", "the code field shows an error",
        "I type my code and the page ignores it", "the form says that my voucher has a wrong format",
        "each time I enter the coupon the basket page reloads", "the voucher box on your site refuses every coupon",
        "the coupon vanishes from the page when I press apply",
    ),
    "search_broken": (
        "the search finds nothing", "your search does not work", "the search shows the wrong page", "my search never ends",
        "whatever I type, the search box returns an empty list", "the filter for sizes on your site has no effect",
        "sorting by price on the site mixes everything up", "the search on the site loads for ever",
    ),
    "login": (
        "I cannot log in", "my login does not work", "the login says no to me", "I am locked out of my account",
        "I am told that my user name is unknown", "after three tries my profile has been locked",
        "the sign-in code never reaches my phone", "I no longer get past the sign-in step",
    ),
    "password": (
        "I forgot my password", "I need a new password", "my password is not accepted", "I want to reset my password",
        "the link for a fresh password has expired", "I have lost the password for my profile",
        "no mail arrives when I ask for another password", "you keep turning down the password that I just set",
    ),
    "details": (
        "I want to change my name in my account", "my account shows an old phone number", "I need a new name on my account",
        "my account has the wrong birthday", "I married and my profile should bear my new surname",
        "I moved and my profile needs another home address", "the phone number in my profile is out of date",
        "my profile spells my surname wrongly",
    ),
    "delete": (
        "I want to delete my account", "please close my account", "I do not need my account now", "my account should go",
        "I ask you to erase my profile for good", "I would like to be removed from your customer list",
        "please cancel my membership and wipe my profile", "I no longer wish to have a profile with you",
    ),
    "stock": (
        "I want to know if you have {it}", "I would like to buy {it} if you have it", "I ask when you will have {it}",
        "I look for {it} and do not see it in stock", "I would love to hear if {it} can be had again soon",
        "I wonder whether {it} is available at the moment", "I have been looking for {it} and it seems to be sold out",
        "before I buy I need to know how many of {it} you have left",
    ),
    "bulk": (
        "I want to buy ten of {it} at a good price", "I ask for a price for many of {it}", "we want to buy {it} for all our rooms",
        "I would like an offer for ten of {it}", "our hotel plans to purchase {it} in large numbers",
        "we would like a quotation for forty of {it}", "my firm considers buying {it} for every desk and asks for terms",
        "we are interested in {it} wholesale",
    ),
    "advice": (
        "I ask which size of {it} I should buy", "I want to know if {it} is easy to clean", "I want to know what {it} is made of",
        "I ask if {it} is good for children", "I cannot decide which colour of {it} would suit me",
        "before buying I would like to hear how heavy {it} is", "I am thinking of buying {it} and want to know if it lasts",
        "I wonder whether {it} would be the right choice for my mother",
    ),
    "gift": (
        "I want to buy {it} as a gift with nice paper", "I ask if you can wrap {it} as a gift", "I want a gift card with {it}",
        "I would like to buy {it} with a gift note", "I intend to give {it} to a friend and ask whether you do ribbons",
        "I would like to purchase {it} as a present with a printed greeting",
        "I plan to surprise my sister with {it} and want to know if you wrap presents",
        "I am choosing a wedding present and ask whether {it} can be engraved",
    ),
    "rude": (
        "your agent was rude to me", "a man in your shop was rude", "your staff was not kind to me", "your agent shouted at me",
        "the lady on your hotline made fun of me", "I was treated with contempt by one of your people",
        "your salesman insulted my wife", "the manner of your employee was beyond belief",
    ),
    "misleading": (
        "your advert is not true", "your advert lies", "the picture in your advert is false", "your advert is not fair",
        "your brochure promises things that no article of yours does", "the slogan on your posters is plainly dishonest",
        "your newsletter advertises a sale that does not exist", "your commercial deceives people",
    ),
    "promise": (
        "your agent promised a call and did not call", "you promised to help and did nothing", "you broke your word to me",
        "your shop did not keep its promise", "I was assured of a callback and sat by the phone in vain",
        "your manager gave me his word and then forgot me", "a commitment that your branch made was never honoured",
        "I was told that a supervisor would see to it, and none did",
    ),
    "waste": (
        "your boxes are far too big", "you use too much plastic", "so much plastic around one thing is wrong",
        "your boxes are bad for the planet", "the amount of foam that you put into each carton is a disgrace",
        "I object to the mountains of packaging that you produce", "your packing is an insult to anybody who recycles",
        "a huge carton for a tiny article is irresponsible",
    ),
    "press": (
        "I write for a newspaper and ask for an interview", "my newspaper has a question for you",
        "I am with a radio station and want an interview", "I need a photo of your shop for my newspaper",
        "as a journalist I am preparing a feature on your company", "our magazine requests a statement from your board",
        "I produce a podcast and would like to have your founder on air", "our television crew hopes to film at your premises",
    ),
    "job": (
        "I want to work for you", "I look for a job in your shop", "I ask if you have a job for me", "my son wants a job with you",
        "I would like to apply as an apprentice", "I enclose my application for the vacancy in your warehouse",
        "I am a trained designer and wonder whether you are hiring", "our student hopes for an internship at your company",
    ),
    "partnership": (
        "I want to work together with your shop", "my firm wants to sell its things through you", "I want to be your partner",
        "we would like to be a partner of your shop", "our pottery would like to be listed among your suppliers",
        "I run a blog and propose a joint campaign", "our agency offers to represent you abroad",
        "we manufacture textiles and seek a retailer such as you",
    ),
    "donation": (
        "our school asks for a gift from your shop", "our club asks for help from your shop", "we ask for a prize for our school",
        "our club looks for a sponsor", "our charity hopes for a contribution to its raffle",
        "we are raising funds for a shelter and approach local companies", "our choir seeks somebody to sponsor its concert",
        "the hospital fair would be grateful for a donation",
    ),
}
"""What a ticket is about; `{it}` is the product, where one is named."""

SUBJECTS: dict[str, tuple[str, ...]] = {
    "billing": ("a payment", "money", "my card", "a charge", "a debit", "my statement", "the bookkeeping", "a sum"),
    "shipping": ("a parcel", "my delivery", "the courier", "a box", "a shipment", "my package", "the transport", "the depot"),
    "returns": ("a thing I got", "my new thing", "what I got", "the thing in the box",
                "what was delivered", "the article I unpacked", "my purchase", "the contents of the carton"),
    "technical": ("the app", "your site", "the website", "a page", "the shop online", "your software", "a glitch", "the browser"),
    "account": ("my account", "my login", "my name", "my data", "my profile", "my membership", "the sign-in", "my user name"),
    "sales": ("a thing to buy", "a price", "your things", "what you sell",
              "the assortment", "an offer", "a planned purchase", "your catalogue"),
    "complaints": ("your shop", "your people", "bad days with you", "how you work",
                   "your conduct", "a bad experience", "your company", "my disappointment"),
    "other": ("an idea", "a request", "a plan", "us and you", "an enquiry", "a proposal", "an open matter", "a cooperation"),
    "vague": ("this", "my mail", "something", "one thing", "a matter", "a certain topic", "last week", "the thing we discussed"),
}
"""What the subject line names; it may say little, and on hard tickets it may name a side issue."""

CIRCUMSTANCES: dict[str, tuple[str, ...]] = {
    "danger": (
        "it gave off smoke", "somebody got hurt by it", "my child was hurt by it", "it gave me an electric shock",
        "flames came out of it", "a splinter of it cut my hand badly", "a guest was injured by it",
        "my daughter choked on a loose piece of it",
    ),
    "legal": (
        "my lawyer will write to you", "I will go to court", "I will take you to court", "my lawyer knows of this",
        "my solicitor is preparing a claim", "I shall report you to the consumer authority",
        "we are about to sue", "I have already filed a complaint with the ombudsman",
    ),
    "fraud": (
        "a thief is using my account", "someone stole my password", "a thief bought things in my name", "my account was stolen",
        "a stranger ordered things under my identity", "I see purchases that I never made",
        "my profile has been hacked", "criminals have got hold of my sign-in",
    ),
    "today": (
        "I need an answer today", "it must be done today", "this has to be solved today", "today is the last day for it",
        "tomorrow it will be of no use to me", "I depend on hearing from you before midnight",
        "it has to happen within the next two hours", "the matter cannot wait until tomorrow morning",
    ),
    "deadline": (
        "I need it by Friday", "it must be done this week", "I need it for a party on Sunday", "I leave on Saturday and need it",
        "our wedding is at the end of the week", "my landlord has set me a deadline for Thursday",
        "the celebration for which this matters takes place in three days", "I am off to sea the day after tomorrow",
    ),
    "again": (
        "I wrote to you before about this", "this is my third mail on this", "I asked you for this two times", "I called you last week too",
        "my two earlier messages on this were not answered", "you already have four mails of mine on the same subject",
        "I have raised this with you once already", "nobody has reacted to what I sent on this a fortnight ago",
    ),
    "stopped": (
        "my shop is closed until this is solved", "I cannot work until this is done", "our work stands still", "my team cannot work now",
        "our restaurant has to turn guests away because of it", "my entire business is at a standstill over this",
        "until it is settled our production is idle", "I lose customers of my own with every hour of it",
    ),
    "no_hurry": (
        "there is no hurry", "you can take your time", "it is not urgent", "it can wait",
        "I can easily wait a month", "please deal with everything else first",
        "there is absolutely no rush on my side", "whenever you get round to it will do",
    ),
    "no_reply": (
        "you do not need to answer", "no answer is needed", "I do not need a reply", "this is just for you to know",
        "I expect no response", "you may simply file this away",
        "I only wanted it off my chest and ask for nothing", "there is no call for a reaction from you",
    ),
}
"""What decides the priority."""

TAILS: dict[str, tuple[str, ...]] = {
    "order_id": (
        "the order number is {value}", "it is order {value}", "my order is {value}", "this is about order {value}",
        "the purchase in question is {value}", "it all concerns the order numbered {value}",
        "the confirmation mail for it says {value}", "you will find it under {value}",
    ),
    "email": (
        "my email is {value}", "please write to {value}", "you can answer to {value}", "my address for mail is {value}",
        "replies reach me at {value}", "kindly send your response to {value}", "use {value} to get back to me",
        "the inbox that I read is {value}",
    ),
    "amount_cents": (
        "it is about {value}", "the sum is {value}", "we talk about {value}", "the amount is {value}",
        "{value} is what is at stake", "the figure in question is {value}", "I speak of {value} in total",
        "all this comes to {value}",
    ),
    "product": (
        "the product is the {value}", "I mean the {value}", "it is about the {value}", "I talk about the {value}",
        "the article concerned is the {value}", "everything here has to do with the {value}",
        "what I have in mind is the {value}", "I am referring to the {value}",
    ),
    "other_order_id": (
        "my order {value} was fine", "order {value} came as it should", "I had no trouble with order {value}",
        "order {value} is a thing of the past", "my earlier purchase {value} went smoothly",
        "the one numbered {value} last spring was perfect", "{value} is settled and does not concern us here",
        "please leave {value} alone, it is all right",
    ),
    "other_email": (
        "my old mail {value} is dead", "do not write to {value}", "I do not read {value} now", "my mail was once {value}",
        "whatever goes to {value} is lost on me", "I gave up {value} years ago",
        "messages to {value} bounce nowadays", "the address {value} belongs to my former employer",
    ),
    "other_amount_cents": (
        "one more shop asks {value} for such things", "I saw a price of {value} in town", "my friend paid {value} for hers",
        "a year ago all was {value}", "a rival of yours advertises the like for {value}",
        "my neighbour got something similar for {value}", "I read that people commonly spend {value} on this sort of thing",
        "a flyer in my letterbox offered such goods at {value}",
    ),
    "other_product": (
        "I love the {value} that I have", "the {value} from last year is good", "my {value} works well", "I was happy with the {value}",
        "the {value} that I own already gives me no trouble", "my aunt is delighted with her {value}",
        "the {value} from my first purchase still looks like new", "with the {value} everything went as it should",
    ),
    "refund": (
        "I want my money back", "please pay me back", "I would like my money", "give me my money back",
        "I expect to be reimbursed in full", "returning the whole sum would be right",
        "I would be content with a repayment", "I ask you to credit me",
    ),
    "callback": (
        "please call me", "I wish for a call", "a call would be nice", "call me at home",
        "I would appreciate a telephone call", "ring me in the evening",
        "someone should phone me", "a conversation on the phone would suit me",
    ),
    "confirmation": (
        "please confirm this", "I wish for a short note", "tell me that you got this", "a short answer is enough",
        "a brief acknowledgement would be welcome", "I would like it in writing",
        "let me have two lines of confirmation", "kindly acknowledge that this has reached you",
    ),
    "apology": (
        "I wish for a kind word", "say sorry to me", "I want you to say sorry", "a sorry would be nice",
        "an apology seems in order", "a sincere word of regret would go a long way",
        "I should like to hear that you regret it", "some sign of remorse would be fitting",
    ),
    "filler": (
        "the weather is bad here", "my week was long", "I like to shop at home", "my dog is asleep at my feet",
        "writing such messages is not my favourite pastime", "the neighbours are drilling again while I type",
        "I have been a customer for a good many years", "my glasses are somewhere in this house",
        "the kettle is whistling in the kitchen", "patience was never my strongest quality",
        "our cat walked over the keyboard twice", "I do most of my shopping on rainy evenings",
        "this summer has been rather exhausting", "one sees so much nonsense these days",
        "the train was crowded and I typed this standing", "my grandson taught me how to use this form",
    ),
    "forward": (
        "I send you a mail that I got", "this came to me and is for you", "a friend asked me to send you this", "I pass this on",
        "my neighbour has no computer, so I am forwarding her words", "the message beneath landed with the wrong department",
        "my father dictated what follows to his old address book", "I was asked to relay the text beneath",
    ),
    "quote": (
        "your order {value} is on its way", "your order {value} has been sent", "we have packed {value} for you", "{value} is done",
        "purchase {value} has left our warehouse", "we hope that you enjoy {value}",
        "{value} was handed to the carrier", "please rate your experience with {value}",
    ),
}
"""Details, decoys, wishes and small talk; `{value}` is the detail that is told."""
